// The panel "Try it" on the page of a customer group: asks the server as one types, and shows what it answers.
"use strict";
{
    const PAUSE = 300;
    const SETTINGS = ["country_prefix", "area_prefix", "company_line", "extension_min", "extension_max"];

    const start = (panel) => {
        const form = panel.closest("form");
        const number = panel.querySelector("#try-it-number");
        const result = panel.querySelector("#try-it-result");
        const status = panel.querySelector("#try-it-status");
        // Whoever may only look has no inputs: the server takes what is saved.
        const settings = SETTINGS.map((name) => form.elements[name]).filter(Boolean);
        let timer = null;
        let asked = null;

        const show = (html) => {
            result.innerHTML = html;
            const summary = result.querySelector("[data-summary]");
            status.textContent = summary ? summary.dataset.summary : "";
        };

        const ask = async () => {
            clearTimeout(timer);
            // Only the answer to what stands there now counts.
            asked?.abort();
            asked = new AbortController();
            const { signal } = asked;
            const body = new URLSearchParams({
                csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value,
                group: panel.dataset.group,
                number: number.value,
                way: panel.querySelector("[name=try_it_way]:checked").value,
            });
            settings.forEach((input) => body.set(input.name, input.value));
            result.setAttribute("aria-busy", "true");
            try {
                const response = await fetch(panel.dataset.url, { method: "POST", body, signal });
                // A session that is over leads to the log-in page.
                if (!response.ok || response.redirected) {
                    throw new Error(String(response.status));
                }
                show(await response.text());
            } catch {
                if (signal.aborted) {
                    return;
                }
                result.replaceChildren();
                const text = document.createElement("p");
                text.className = "errornote";
                text.textContent = status.textContent = panel.dataset.failed;
                result.append(text);
            }
            result.removeAttribute("aria-busy");
        };

        const askSoon = () => {
            clearTimeout(timer);
            timer = setTimeout(ask, PAUSE);
        };

        [number, ...settings].forEach((input) => input.addEventListener("input", askSoon));
        panel.querySelectorAll("[name=try_it_way]").forEach((input) => input.addEventListener("change", ask));
        panel.addEventListener("keydown", (event) => {
            if (event.key === "Enter" && event.target instanceof HTMLInputElement) {
                // Else it would save the page.
                event.preventDefault();
                ask();
            }
        });
        panel.hidden = false;
    };

    document.addEventListener("DOMContentLoaded", () => {
        const panel = document.getElementById("try-it");
        if (panel) {
            start(panel);
        }
    });
}
