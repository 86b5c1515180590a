// Numbers, money, times and names as people read them.

const whole = new Intl.NumberFormat("en-GB");

export const count = (number) => whole.format(number);

/** "1250.50" as "1,250.50": exact decimal text in major units, grouped as text, so that no float comes near it. */
export function amount(text) {
  if (text === null || text === undefined) return "–";
  const [units, decimals] = text.replace("-", "").split(".");
  const grouped = units.replace(/\B(?=(\d{3})+$)/g, ",");
  return `${text.startsWith("-") ? "−" : ""}${grouped}${decimals ? `.${decimals}` : ""}`;
}

export const money = (text, currency) => `${amount(text)} ${currency}`;

export function minorToText(minor, exponent) {
  const digits = String(Math.abs(minor)).padStart(exponent + 1, "0");
  const cut = digits.length - exponent;
  return (minor < 0 ? "-" : "") + digits.slice(0, cut) + (exponent ? `.${digits.slice(cut)}` : "");
}

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const exactClock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** "12 s ago", "5 min ago", "14:03" today, else with the date. */
export function ago(iso, now = Date.now()) {
  const at = new Date(iso);
  const seconds = Math.round((now - at) / 1000);
  if (seconds >= -5 && seconds < 5) return "just now";
  if (seconds >= 0 && seconds < 60) return `${seconds} s ago`;
  if (seconds >= 0 && seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (new Date(now).toDateString() === at.toDateString()) return clock.format(at);
  return `${day.format(at)}, ${clock.format(at)}`;
}

export function moment(iso) {
  const at = new Date(iso);
  return `${day.format(at)}, ${exactClock.format(at)}`;
}

/** "payment_authorized" and "payment.authorized.v1" as words. */
export const words = (name) => name.replaceAll("_", " ").replaceAll(".", " ");

const STEPS = { 60: "minute", 300: "5 minutes", 900: "15 minutes", 3600: "hour", 21600: "6 hours", 86400: "day", 604800: "week", 2592000: "30 days" };

export const step = (seconds) => STEPS[seconds] ?? `${seconds} s`;
