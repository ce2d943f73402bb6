// What a shop's pages load: keeps the click tokens with which a visitor came and hands them to the order.
//
// $days      the window of the plan in force: older tokens are forgotten
// $platform  makes, from ($run, $remember), what only the pages of one platform need: see platforms/
//
// Written for ES2017, without anything that a strict Content-Security-Policy forbids. It is served without comments and
// blanks and with one letter for each name that begins with $; nothing else is changed.
(($days, $platform) => {
  const $key = "passalong", $pattern = /^[\w-]{1,64}$/,
    $landed = Date.now(), $found = new URLSearchParams(location.search).get("pa"),
    // Only while the script itself runs does the page know its tag.
    $tag = document.currentScript, $waits = $tag && $tag.dataset.consent == "required";
  let $memory, $value, $nothing;

  // Give the answer of the first storage that has one. Each may be forbidden or full; then memory serves this page.
  const $stored = $use => {
    for (const $name of ["localStorage", "sessionStorage"]) {
      try {
        const $answer = $use(window[$name]);
        if ($answer) return $answer;
      } catch ($error) {}
    }
  };

  // Kept are: ok, what consent() was told; seen, [token, ms at which it came], the oldest first; sent, what a cart was
  // told last.
  const $read = () => {
    try {
      return Object.assign({}, JSON.parse($stored($store => $store.getItem($key)) || $memory));
    } catch ($error) {
      return {};
    }
  };
  const $write = $change => {
    const $text = JSON.stringify(Object.assign($read(), $change));
    $memory = $stored($store => $text == "{}" ? $store.removeItem($key) : !$store.setItem($key, $text)) ? "" : $text;
  };

  // Tell whether something may be kept: true, false, or nothing while nobody knows yet.
  const $allowed = $ok => {
    const $theirs = $site.consent ? $site.consent() : true;
    if ($ok === false) return $ok;
    if (!$theirs || $ok) return $theirs;
    return !navigator.globalPrivacyControl && ($waits ? $nothing : true);
  };

  const $run = () => {
    const $kept = $read(), $may = $allowed($kept.ok);
    $value = "";
    if ($may === $nothing) return;
    const $seen = [].concat($may ? $kept.seen : []).filter($one =>
      $one && $pattern.test($one[0]) && Date.now() - $one[1] <= $days * 864e5);
    // Sorted by the landing, since another tab may have been faster to write. A token seen before is no new visit.
    if ($may && $found && $pattern.test($found) && !$seen.some($one => $one[0] == $found))
      $seen.push([$found, $landed]);
    $seen.sort(($one, $other) => $one[1] - $other[1]).splice(1, $seen.length - 2);
    $value = $seen.map($one => $one[0]).join();
    // After a refusal not even what a cart was told is kept, only that it is to be told of the end.
    $write({ seen: $value ? $seen : $nothing, sent: $may ? $kept.sent : $kept.sent && 1 });
    if ($site.put) $site.put($value, $kept.sent);
  };

  const $site = $platform($run, $sent => $write({ sent: $sent || $nothing }));
  window.passalong = {
    token: () => ($run(), $value),
    consent: $ok => ($write({ ok: !!$ok }), $run())
  };
  // All pass through the window on their way down, also those that do not bubble.
  ["DOMContentLoaded", "pageshow", "visibilitychange"].concat($site.on)
    .forEach($event => addEventListener($event, $run, true));
  if (document.readyState == "complete") $run();
})
