// Shopify: the cart carries an attribute, which becomes a note attribute of the order.
// https://shopify.dev/docs/api/ajax/reference/cart, https://shopify.dev/docs/api/customer-privacy
($run, $remember) => {
  let $asked, $last = Promise.resolve();
  const $shop = () => window.Shopify || {};
  const $cookie = () => (/(?:^|; )cart=([^;]+)/.exec(document.cookie) || [])[1];

  // What was told to this very cart is not asked again; a cart that cannot be told apart by its cookie is asked.
  const $tell = ($value, $sent) => {
    const $cart = $cookie();
    // Both addresses answer with the cart, or fail here with what is none: tell whether it holds the value.
    const $call = ($path, $options) => fetch((($shop().routes || {}).root || "/") + $path, $options)
      .then($answer => $answer.json())
      .then($now => ($now.attributes._pa || "") == $value);
    return ($value ? $cart && $sent == $value + $cart : !$sent) || $call("cart.js")
      .then($holds => $holds || $call("cart/update.js", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ attributes: { _pa: $value } }),
        keepalive: true
      }))
      .then($holds => $holds && $remember($value && $value + $cookie()));
  };

  return {
    on: "visitorConsentCollected",
    // Shopify says no as long as the visitor has not said yes where the shop must ask. Its API comes when asked for.
    consent() {
      const $here = $shop(), $privacy = $here.customerPrivacy;
      if ($privacy) return $privacy.marketingAllowed() && $privacy.analyticsProcessingAllowed();
      if (!$here.loadFeatures) return true;
      if (!$asked) $asked = !$here.loadFeatures([{ name: "consent-tracking-api", version: "0.1" }], $run);
    },
    // One after another, so that a refusal never overtakes what it takes back. A failure is tried again at the next
    // event.
    put($value, $sent) {
      $last = $last.then(() => $tell($value, $sent)).catch(() => {});
    }
  };
}
