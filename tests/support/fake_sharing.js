// Sharing as phones offer it, written down in `shared`.
window.shared = [];
navigator.canShare = ({ files }) => files.every(({ type }) => type !== window.unshared);
navigator.share = async ({ files, title }) => {
  window.shared.push([title, ...files.map(({ name, type, size }) => [name, type, size])]);
  if (window.refusal) throw new DOMException("", window.refusal);
};
