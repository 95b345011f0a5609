// What every page does: theme, menus, messages, errors of htmx requests. Nothing may import this
// file: under its other name (without the hash in it) it would run a second time.

import "./outbox.js";   // sends what a page left behind that was closed without a connection
import { toast } from "./toast.js";

const root = document.documentElement;

function isDark() {
  const chosen = root.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function toggleTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  if (!target) return;
  if (target.closest("[data-theme-toggle]")) toggleTheme();
  target.closest("[data-dismiss]")?.closest(".toast")?.remove();
  closeMenus(target.closest("details.menu"));
  const opener = target.closest("[data-open-dialog]");
  if (opener) document.getElementById(opener.dataset.openDialog)?.showModal();
  if (target.closest("[data-close-dialog]")) target.closest("dialog")?.close();
  const copy = target.closest("[data-copy]");
  if (copy) navigator.clipboard?.writeText(copy.dataset.copy).then(() => toast("Copied"));
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  closeMenus(null);
  open?.querySelector("summary")?.focus();
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset?.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-submit-on-change]")) event.target.form?.requestSubmit();
});

document.body.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  toast(xhr.getResponseHeader("X-Message") || `That did not work (${xhr.status}). Reload the page and try again.`, "error");
});

let offline = null;
document.body.addEventListener("htmx:sendError", () => {
  offline ??= toast("No connection to Loupe. It goes on by itself when the connection is back.", "warning");
});
document.body.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful && offline) {
    offline.remove();
    offline = null;
  }
});

for (const message of document.querySelectorAll("#toasts .toast:not(.error)")) {
  setTimeout(() => message.remove(), 6000);
}
