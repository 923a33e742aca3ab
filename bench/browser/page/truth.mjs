// same compares what the page shows with what was sent, orders by shop; the
// difference is the answer.
export function same(got, sent) {
  const wrong = Object.entries(sent).filter(([shop, n]) => got[shop] !== n).map(([shop, n]) => `${shop}: ${got[shop]} of ${n}`);
  return wrong.length === 0 || wrong.join(', ');
}
