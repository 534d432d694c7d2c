// The addresses of the views. They stand behind the #, so that the page works under any path and a link to it can be sent.

/** Understands an address: the view's name, what it is about, and its parameters. What there is not leads to the first view. */
export function readHash(hash) {
  const text = hash.replace(/^#\/?/, '');
  const [path, query = ''] = split(text, '?');
  const parameters = new URLSearchParams(query);
  const [first, second] = split(path, '/');
  if (first === 'customers' && second) return { name: 'customer', key: decode(second), parameters };
  if (first === 'customers') return { name: 'customers', key: '', parameters };
  if (first === 'replay') return { name: 'replay', key: '', parameters };
  return { name: 'now', key: '', parameters };
}

function split(text, by) {
  const at = text.indexOf(by);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Is a text a domain id, as it is usually written? */
export const isDomainID = (text) => /^[1-9][0-9]{0,18}$/.test(text);

/** The address of a customer. */
export const customerHash = (id) => `#/customers/${encodeURIComponent(id)}`;

/** The address of a view with parameters, a list of pairs; empty ones are left out. */
export function viewHash(view, pairs) {
  const query = new URLSearchParams(pairs.filter(([, v]) => v !== '' && v !== null && v !== undefined));
  return query.size === 0 ? `#/${view}` : `#/${view}?${query}`;
}
