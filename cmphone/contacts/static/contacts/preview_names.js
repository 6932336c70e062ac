// The previews of display names on the page of a contact model: asks the server as one types, and shows its answer.
"use strict";
{
    const PAUSE = 300;
    const GROUP = "display_names";

    // Of one form: what is on its way to the server, and when the next question is due.
    const states = new WeakMap();

    const show = (panel, html) => {
        const result = panel.querySelector(".names-preview-result");
        result.innerHTML = html;
        const summary = result.querySelector("[data-summary]");
        panel.querySelector("[role=status]").textContent = summary ? summary.dataset.summary : "";
    };

    const ask = async (form) => {
        const panel = form.querySelector(".names-preview");
        const state = states.get(form) ?? {};
        states.set(form, state);
        clearTimeout(state.timer);
        // Only the answer to what stands there now counts.
        state.asked?.abort();
        state.asked = new AbortController();
        const { signal } = state.asked;
        const body = new URLSearchParams({ model: panel.dataset.model, form: form.id });
        for (const [name, value] of new FormData(form.closest("form"))) {
            if (name === "csrfmiddlewaretoken" || name.startsWith(`${GROUP}-`)) {
                body.set(name, value);
            }
        }
        const result = panel.querySelector(".names-preview-result");
        result.setAttribute("aria-busy", "true");
        try {
            const response = await fetch(panel.dataset.url, { method: "POST", body, signal });
            // A session that is over leads to the log-in page.
            if (!response.ok || response.redirected) {
                throw new Error(String(response.status));
            }
            show(panel, await response.text());
        } catch {
            if (signal.aborted) {
                return;
            }
            const text = document.createElement("p");
            text.className = "errornote";
            text.textContent = panel.querySelector("[role=status]").textContent = panel.dataset.failed;
            result.replaceChildren(text);
        }
        result.removeAttribute("aria-busy");
    };

    const askSoon = (form) => {
        const state = states.get(form) ?? {};
        states.set(form, state);
        clearTimeout(state.timer);
        state.timer = setTimeout(() => ask(form), PAUSE);
    };

    document.addEventListener("DOMContentLoaded", () => {
        const group = document.getElementById(`${GROUP}-group`);
        // Whoever may only look has no inputs.
        if (!group || !group.querySelector("textarea")) {
            return;
        }
        const findForm = (event) => {
            const form = event.target.closest(".inline-related");
            return form?.querySelector(".names-preview") ? form : null;
        };
        const unfold = (form) => form.querySelectorAll(".names-preview").forEach((panel) => (panel.hidden = false));
        unfold(group);
        document.addEventListener("formset:added", (event) => unfold(event.target));
        group.addEventListener("input", (event) => {
            const form = findForm(event);
            if (form && event.target.matches("textarea, select")) {
                askSoon(form);
            }
        });
        group.addEventListener("click", (event) => {
            const form = findForm(event);
            if (form && event.target.matches(".names-preview button")) {
                ask(form);
            }
        });
    });
}
