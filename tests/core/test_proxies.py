"""Who asks, when proxies pass it on: what a stranger writes into the header himself counts for nothing."""

from __future__ import annotations

import pytest

from campana.core.proxies import asker, networks
from campana.settings import BadSettings, load_settings

PROXIES = "10.0.0.5, 10.1.0.0/16,2001:db8::/32"
CASES = [
    # asks                 says                                  trusted   who it is
    ("127.0.0.1", "", "", "127.0.0.1"),
    ("203.0.113.7", "198.51.100.1", "", "203.0.113.7"),  # a stranger's word
    ("203.0.113.7", "198.51.100.1", PROXIES, "203.0.113.7"),
    ("10.0.0.5", "203.0.113.7", "", "10.0.0.5"),  # nobody has named that proxy
    ("127.0.0.1", "203.0.113.7", "", "203.0.113.7"),
    ("::1", "1.1.1.1, 203.0.113.7", "", "203.0.113.7"),
    ("10.0.0.5", "203.0.113.7", PROXIES, "203.0.113.7"),
    ("10.0.0.6", "203.0.113.7", PROXIES, "10.0.0.6"),
    ("10.0.0.5", "1.1.1.1, 203.0.113.7", PROXIES, "203.0.113.7"),  # written before our proxy added its line
    ("10.0.0.5", "10.0.0.5, 203.0.113.7", PROXIES, "203.0.113.7"),
    ("10.0.0.5", "203.0.113.7, 10.1.2.3", PROXIES, "203.0.113.7"),  # two proxies, one behind the other
    ("127.0.0.1", "9.9.9.9, 203.0.113.7, 10.1.2.3, 127.0.0.1", PROXIES, "203.0.113.7"),
    ("10.0.0.5", "10.1.9.9, 10.1.2.3", PROXIES, "10.1.9.9"),  # from within
    ("10.0.0.5", "203.0.113.7, nonsense", PROXIES, "10.0.0.5"),  # nothing is made of what cannot be read
    ("10.0.0.5", "203.0.113.7, nonsense, 10.1.2.3", PROXIES, "10.1.2.3"),
    ("10.0.0.5", "unknown", PROXIES, "10.0.0.5"),
    ("10.0.0.5", "203.0.113.7:4711", PROXIES, "203.0.113.7"),
    ("10.0.0.5", "[2001:db9::7]:4711", PROXIES, "2001:db9::7"),
    ("2001:db8::1", "2001:DB9:0::7", PROXIES, "2001:db9::7"),
    ("::ffff:10.0.0.5", "::ffff:203.0.113.7", PROXIES, "203.0.113.7"),
    ("10.0.0.5", "203.0.113.7,", PROXIES, "10.0.0.5"),
    ("", "203.0.113.7", PROXIES, ""),
    ("10.0.0.5", ",".join(["10.1.0.1"] * 5000), PROXIES, "10.1.0.1"),
]


@pytest.mark.parametrize(("peer", "said", "trusted", "who"), CASES)
def test_the_last_one_who_is_no_proxy_of_ours_asks(peer: str, said: str, trusted: str, who: str) -> None:
    assert asker(peer, said, networks(trusted)) == who


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.x", "no address and no network"),
        ("10.0.0.5/16", "no address and no network"),
        ("10.0.0.5; 10.0.0.6", "no address"),
        ("0.0.0.0/0", "everybody"),
        ("10.0.0.5, ::/0", "everybody"),
    ],
)
def test_proxies_that_cannot_be_used_are_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        networks(text)
    with pytest.raises(BadSettings, match=f"trusted_proxies.*{words}"):
        load_settings(trusted_proxies=text)
