/** Field checks: each takes a value and gives the value to store, or throws `Invalid` with what is wrong. */
import { Problem } from "./answers.js";

class Invalid extends Error {}

const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Text of `min` to `max` characters, without surrounding space unless `verbatim`. */
export const text = ({ min = 1, max, pattern, verbatim = false }) => (value) => {
  if (typeof value !== "string") throw new Invalid("doit être un texte");
  const kept = verbatim ? value : value.trim();
  const length = [...kept].length;
  if (length < min || length > max) throw new Invalid(`doit avoir de ${min} à ${max} caractères`);
  if (CONTROL.test(kept) || !kept.isWellFormed()) throw new Invalid("contient un caractère interdit");
  if (pattern && !pattern.test(kept)) throw new Invalid("n'a pas la forme attendue");
  return kept;
};

/** A whole number from `min` to `max`. */
export const integer = ({ min, max }) => (value) => {
  if (!Number.isSafeInteger(value)) throw new Invalid("doit être un nombre entier");
  if (value < min || value > max) throw new Invalid(`doit être entre ${min} et ${max}`);
  return value;
};

/** The id of a row. */
export const id = integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

/** One of the given words. */
export const oneOf = (...words) => (value) => {
  if (!words.includes(value)) throw new Invalid(`doit être l'un de : ${words.join(", ")}`);
  return value;
};

/** True or false. */
export const flag = (value) => {
  if (typeof value !== "boolean") throw new Invalid("doit être vrai ou faux");
  return value;
};

/** A day, `YYYY-MM-DD`, that exists and is not before 1900. */
export const day = (value) => {
  const [, year, month, date] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(value) ?? [];
  const real = new Date(Date.UTC(year, month - 1, date));
  if (typeof value !== "string" || real.getUTCMonth() !== month - 1 || year < 1900) throw new Invalid("doit être une date AAAA-MM-JJ");
  return value;
};

/** An instant in RFC 3339 form, with its zone. */
export const instant = (value) => {
  const shape = /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
  const [, date] = shape.exec(value) ?? [];
  if (typeof value !== "string" || !date) throw new Invalid("doit être un instant RFC 3339 avec son fuseau");
  day(date);
  return value;
};

/** An e-mail address. */
export const email = text({ min: 3, max: 254, pattern: /^[^\s@]+@[^\s@]+\.[^\s@]+$/ });

/** A list of at most `max` objects with these fields. */
export const listOf = (fields, { max }) => (value) => {
  if (!Array.isArray(value)) throw new Invalid("doit être une liste");
  if (value.length > max) throw new Invalid(`doit avoir au plus ${max} éléments`);
  return value.map((item, index) => {
    const { row, faults } = check(fields, item);
    const [first] = Object.entries(faults);
    if (first) throw new Invalid(`élément ${index + 1} : ${first.join(" ")}`);
    return row;
  });
};

/** Mark a field as one that must be given. */
export const required = (checker) => Object.assign((value) => checker(value), { required: true });

/** Check a whole body against its fields; throw a problem that names every field at fault. */
export function validate(fields, body) {
  const { row, faults } = check(fields, body);
  if (Object.keys(faults).length > 0) {
    throw new Problem(422, "invalid_fields", "Des champs ne sont pas valides.", { fields: faults });
  }
  return row;
}

function check(fields, body) {
  if (body === null || typeof body !== "object" || Array.isArray(body)) {
    return { row: {}, faults: { "": "doit être un objet" } };
  }
  const row = {};
  const faults = {};
  for (const name of Object.keys(body)) if (!Object.hasOwn(fields, name)) faults[name] = "champ inconnu";
  for (const [name, checker] of Object.entries(fields)) {
    const value = Object.hasOwn(body, name) ? body[name] : null;
    try {
      if (value !== null) row[name] = checker(value);
      else if (checker.required) faults[name] = "est obligatoire";
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      faults[name] = error.message;
    }
  }
  return { row, faults };
}
