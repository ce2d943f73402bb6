// One line on the page to which a share link leads: who recommended it, and that they may earn. It is there as long as the
// token of that page counts, so never after a refused consent, and not again in this tab once it was closed.
($ask, $make) => {
  const $token = new URLSearchParams(location.search).get("pa"), $key = "passalong-closed";
  let $site, $asked, $box, $tries = 9;

  const $closed = $value => {
    try {
      if ($value) sessionStorage.setItem($key, $value);
      return sessionStorage.getItem($key) == $token;
    } catch ($error) {}
  };

  // A box of its own, which no style of the shop reaches; above everything, so that nothing is moved.
  const $draw = $said => {
    $box = $make("div", "", "all:initial!important;position:fixed!important;inset:auto 0 0!important;"
      + "z-index:2147483647!important;pointer-events:none!important");
    const $bar = $make("div", "", "box-sizing:border-box;display:flex;flex-wrap:wrap;gap:4px 16px;align-items:center;"
      + "max-width:720px;margin:0 auto;padding:8px 16px;background:#1f2937;border-radius:8px 8px 0 0;"
      + "font:16px/1.5 system-ui,sans-serif;color:#fff;pointer-events:auto"),
      $line = $make("span", "", "flex:1 1 240px"),
      $more = $make("a", $said.more, "color:#fff;padding:4px 0"),
      $button = $make("button", $said.close,
        "font:inherit;color:#fff;background:none;border:1px solid #fff;border-radius:6px;padding:4px 12px;cursor:pointer"),
      $close = () => {
        $closed($token);
        $box.remove();
      };
    $more.href = $said.url;
    $bar.lang = $said.lang;
    $bar.setAttribute("role", "region");
    $bar.setAttribute("aria-label", $said.label);
    $line.setAttribute("role", "status");
    $button.onclick = $close;
    // Nothing is returned here: a false would stop every other key, and hold the keyboard fast.
    $bar.onkeydown = $event => { if ($event.key == "Escape") $close(); };
    $bar.append($line, $more, $button);
    $box.attachShadow({ mode: "open" }).append($bar);
    // A text that comes after its place is there is read out.
    setTimeout(() => ($line.textContent = $said.text));
  };

  const $run = () => {
    const $found = window.passalong;
    // Before the script is there, an element of that id would answer to the name.
    if (!$site && $found && $found.token) {
      const $told = $found.consent;
      $site = $found;
      $site.consent = $ok => ($told($ok), $run());
    }
    const $open = $token && !$closed(), $counts = $open && $site && $site.token().split(",").includes($token);
    // A shop's own answer about consent may come late, and nobody says that it is there.
    if ($open && !$counts && $tries--> 0) setTimeout($run, 500);
    if ($counts && !$asked) $asked = $ask("banner/" + $token).then($said => $said && ($draw($said), $run()));
    if ($box && $counts != $box.isConnected) $counts ? document.body.append($box) : $box.remove();
  };

  ["DOMContentLoaded", "pageshow", "visibilitychange", "visitorConsentCollected", "wp_listen_for_consent_change"]
    .forEach($event => addEventListener($event, $run, true));
  if (document.readyState == "complete") $run();
}
