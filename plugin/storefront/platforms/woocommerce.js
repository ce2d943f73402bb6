// WooCommerce: a hidden field of the classic checkout, extension data of the block checkout. The shop's own lines write
// either into the order (docs/shops/woocommerce.md).
$run => {
  let $bound, $last = "";
  return {
    // The checkout is drawn again after a change of address, by jQuery; whatever draws it, submitting comes after it.
    // The others are of https://wordpress.org/plugins/wp-consent-api/
    on: ["submit", "wp_listen_for_consent_change", "wp_consent_type_defined"],
    consent: () => !window.wp_has_consent || wp_has_consent("marketing"),
    put($value) {
      const { jQuery: $jquery, wp: $wp } = window;
      if ($jquery && !$bound) $bound = $jquery(document.body).on("updated_checkout", $run);
      for (const $form of document.querySelectorAll("form.checkout")) {
        let $field = $form.elements._pa;
        if (!$field && $value) {
          $form.append($field = document.createElement("input"));
          $field.type = "hidden";
          $field.name = "_pa";
        }
        if ($field) $field.value = $value;
      }
      const $checkout = $wp && $wp.data && $wp.data.dispatch("wc/store/checkout");
      if ($checkout && $value != $last) {
        // The second name is the one before WooCommerce 9.9.
        ($checkout.setExtensionData || $checkout.__internalSetExtensionData)("passalong", { _pa: $last = $value });
      }
    }
  };
}
