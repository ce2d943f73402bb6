// What a page can do better with a script; without it every page still does all it is for.
(() => {
  "use strict";

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
    const before = button.lastChild.textContent;
    button.lastChild.textContent = button.dataset.done;
    setTimeout(() => { button.lastChild.textContent = before; }, 2000);
  };

  const share = (button) => navigator.share({
    title: button.dataset.title,
    text: button.dataset.text,
    url: button.dataset.share,
  }).catch(() => {});  // closing the sheet is no error

  // Buttons that only a script can serve are hidden in the page and shown here, where the browser can serve them.
  const show = (root) => {
    for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = !navigator.clipboard;
    for (const button of root.querySelectorAll("[data-share][hidden]")) button.hidden = !navigator.share;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-share], [data-open], [data-close]");
    if (!button) {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        if (!menu.contains(event.target)) menu.open = false;
      }
      return;
    }
    if (button.dataset.copy) copy(button);
    if (button.dataset.share) share(button);
    if (button.dataset.open) document.getElementById(button.dataset.open).showModal();
    if ("close" in button.dataset) button.closest("dialog").close();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault();
    else if (event.target.method === "post") {
      event.target.dataset.sent = "yes";
      setTimeout(() => { delete event.target.dataset.sent; }, 5000);
    }
  });

  // Boxes that tick all others of a list.
  document.addEventListener("change", (event) => {
    const all = event.target.dataset.all;
    if (all) for (const box of document.querySelectorAll(`input[name="${all}"]`)) box.checked = event.target.checked;
    if (event.target.dataset.submit !== undefined) event.target.form.requestSubmit();
  });

  // The browser knows better than its languages where it is.
  for (const zones of document.querySelectorAll("select[data-zone]")) {
    const here = new Intl.DateTimeFormat().resolvedOptions().timeZone;
    if ([...zones.options].some((option) => option.value === here)) zones.value = here;
  }

  show(document);
  document.addEventListener("htmx:after:swap", () => show(document));
})();
