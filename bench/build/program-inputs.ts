/** Inputs of the programs, the same bytes in every run. */

/** Marsaglia's xorshift with 32 bits. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

const SYLLABLES = "ka lo mi ten du ras pe gol shi van or il tu bre na zem fi cor ha wen".split(" ");

/** Something like prose: words of an invented language, some of them far more frequent than others. */
export function proseText(bytes: number): string {
  const next = randomNumbers(2024);
  const vocabulary = Array.from({ length: 4000 }, () =>
    Array.from({ length: 1 + (next() % 4) }, () => SYLLABLES[next() % SYLLABLES.length]).join(""),
  );
  const pieces: string[] = [];
  for (let length = 0; length < bytes; ) {
    // The minimum of three draws: small indices are frequent.
    const index = Math.min(next(), next(), next()) % vocabulary.length;
    const end = next() % 11;
    const piece = `${vocabulary[index]}${end === 0 ? ".\n" : end === 1 ? ", " : " "}`;
    pieces.push(piece);
    length += piece.length;
  }
  return pieces.join("").slice(0, bytes);
}

/** A C file without headers: many functions of a few kinds, with different numbers in them. */
export function largeCFile(functions: number): string {
  const next = randomNumbers(77);
  const parts = ["typedef unsigned int u32;\nstruct cell { struct cell *next; u32 key, value; };\n"];
  for (let index = 0; index < functions; index++) {
    parts.push(cFunction(index, 3 + (next() % 97), 1 + (next() % 31)));
  }
  return parts.join("\n");
}

function cFunction(index: number, a: number, b: number): string {
  switch (index % 4) {
    case 0:
      return `u32 sum${index}(const u32 *data, u32 count) {
  u32 sum = ${a}, last = 0;
  for (u32 i = 0; i < count; i++) {
    if ((data[i] ^ last) % ${a}u == 0) sum += data[i] >> ${b % 31};
    else sum = sum * ${b} + (data[i] & ${a});
    last = data[i];
  }
  return sum;
}
`;
    case 1:
      return `u32 scan${index}(const char *text) {
  u32 state = 0, count = 0;
  for (; *text; text++) {
    switch (state) {
      case 0: state = *text == '${String.fromCharCode(97 + (a % 26))}' ? 1 : *text > ${a} ? 2 : 0; break;
      case 1: state = *text < ${a + 10} ? 3 : 0; count += ${b}; break;
      case 2: state = (*text & ${b}) ? 1 : 3; break;
      default: state = *text % 3; count ^= ${a}; break;
    }
  }
  return count + state;
}
`;
    case 2:
      return `struct cell *find${index}(struct cell *cell, u32 key) {
  struct cell *best = 0;
  while (cell) {
    if (cell->key == key * ${a}) return cell;
    if (!best || cell->value % ${b + 1} > best->value % ${b + 1}) best = cell;
    cell = cell->next;
  }
  return best;
}
`;
    default:
      return `void mix${index}(double *x, const double *y, int count) {
  for (int i = 1; i + 1 < count; i++) {
    double middle = (y[i - 1] + ${a}.0 * y[i] + y[i + 1]) / ${a + 2}.0;
    x[i] = middle > ${b}.5 ? middle - x[i] : x[i] * 0.${a} + middle;
  }
  for (int i = 0; i < count; i += ${b}) x[i] = -x[i];
}
`;
  }
}
