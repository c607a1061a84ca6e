create schema lending;
create table lending.books (shelfmark text primary key, title text not null);
create table lending.loans (
  number integer generated always as identity primary key,
  book text not null references lending.books,
  lent_at timestamptz not null default clock_timestamp()
);
insert into lending.books select 'A ' || n, 'Book ' || n from generate_series(1, 40) n;
insert into lending.loans (book) select 'A ' || n from generate_series(1, 40) n;
