// What the blocks that a shop may add to its pages have in common: asking this installation for words in the page's
// language, and making elements.
//
// $home   where the shop's scripts come from
// $block  what asks and shows
//
// Written for ES2017. A strict Content-Security-Policy of the shop has to allow scripts and connections to us; styles are
// set by the CSSOM, which none forbids. Served like the snippet: without comments, a letter for each name with $.
(($home, $block) => $block(
  // No cookie, and no word of the page on which we are asked. What says nothing, or fails, shows nothing.
  $path => fetch($home + $path + "?lang=" + encodeURIComponent(document.documentElement.lang), {
    credentials: "omit", referrerPolicy: "no-referrer"
  }).then($answer => $answer.status == 200 && $answer.json()).catch(() => {}),
  ($kind, $text, $style) => {
    const $made = document.createElement($kind);
    $made.textContent = $text;
    $made.style.cssText = $style;
    return $made;
  }
))
