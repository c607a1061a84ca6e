/**
 * The resources, as data: table, fields that a caller may set, and parts that are written and read with the row.
 *
 * `parts.insert` is the SQL that writes them; it stands in one statement with the row, there called `created`.
 */
import { day, email, flag, id, instant, integer, listOf, oneOf, required, text } from "./validation.js";

const cents = integer({ min: 0, max: 1_000_000 });
const galop = integer({ min: 0, max: 7 });
const lines = listOf(
  {
    booking_id: id,
    label: required(text({ max: 200 })),
    quantity: integer({ min: 1, max: 1000 }),
    unit_cents: required(cents),
  },
  { max: 100 },
);

export const resources = {
  horses: {
    table: "public.horses",
    fields: {
      name: required(text({ max: 80 })),
      ueln: text({ min: 15, max: 15, pattern: /^[0-9]{6}[0-9A-Z]{9}$/ }),
      breed: text({ max: 80 }),
      sex: required(oneOf("mare", "gelding", "stallion")),
      birth_date: required(day),
      height_cm: integer({ min: 60, max: 220 }),
      coat: text({ max: 40 }),
      status: oneOf("active", "resting", "retired"),
    },
  },
  riders: {
    table: "public.riders",
    fields: {
      first_name: required(text({ max: 80 })),
      last_name: required(text({ max: 80 })),
      email: required(email),
      phone: text({ max: 30, pattern: /^\+?[0-9 .()-]+$/ }),
      birth_date: day,
      galop,
      active: flag,
    },
  },
  lessons: {
    table: "public.lessons",
    fields: {
      title: required(text({ max: 120 })),
      discipline: required(oneOf("dressage", "jumping", "cross", "hacking", "vaulting", "pony")),
      instructor_id: id,
      arena: text({ max: 80 }),
      starts_at: required(instant),
      duration_minutes: integer({ min: 15, max: 480 }),
      min_galop: galop,
      seats: integer({ min: 1, max: 40 }),
      price_cents: required(cents),
    },
  },
  bookings: {
    table: "public.bookings",
    fields: { lesson_id: required(id), rider_id: required(id), horse_id: id, note: text({ max: 500 }) },
  },
  invoices: {
    table: "public.invoices",
    fields: { rider_id: required(id), issued_on: day, due_on: day, lines },
    parts: {
      name: "lines",
      table: "public.invoice_lines",
      parent: "invoice_id",
      insert: (tx, given) => tx`
        insert into public.invoice_lines (invoice_id, booking_id, label, quantity, unit_cents)
        select created.id, line.* from created, json_to_recordset(${JSON.stringify(given)}::text::json)
            as line (booking_id bigint, label text, quantity smallint, unit_cents integer)`,
    },
    /** Split a checked body into the row and its parts; the total is ours to compute. */
    split({ lines: given = [], ...row }) {
      const parts = given.map((line) => ({ booking_id: null, quantity: 1, ...line }));
      const total_cents = parts.reduce((sum, line) => sum + line.quantity * line.unit_cents, 0);
      return { row: { ...row, total_cents }, parts };
    },
  },
};
