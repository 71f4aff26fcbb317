"""Makes secure-aggregation-bound.json: the masks of secure-aggregation.json, bound to item factors and cohort as in production.

Python's standard library alone, the primitives written out from RFC 7748, 5869 and 8439: nothing is shared with Stoa.
Usage: python3 test/vectors/secure-aggregation-bound.py > test/vectors/secure-aggregation-bound.json
"""
import hashlib
import hmac
import json
import struct

P = 2**255 - 19


def x25519(k, u):
    k = bytearray(k)
    k[0] &= 248
    k[31] = (k[31] & 127) | 64
    k = int.from_bytes(k, "little")
    x1 = int.from_bytes(u, "little") % 2**255
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in reversed(range(255)):
        bit = k >> t & 1
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def hkdf(ikm, salt, info):
    prk = hmac.digest(salt, ikm, "sha256")
    return hmac.digest(prk, info + b"\x01", "sha256")


def chacha20(key, length):
    stream = b""
    counter = 0
    while len(stream) < length:
        start = list(struct.unpack("<4I8I4I", b"expand 32-byte k" + key + struct.pack("<4I", counter, 0, 0, 0)))
        s = start[:]

        def quarter(a, b, c, d):
            for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                s[x] = (s[x] + s[y]) & 0xFFFFFFFF
                s[z] ^= s[x]
                s[z] = (s[z] << n | s[z] >> 32 - n) & 0xFFFFFFFF

        for _ in range(10):
            for q in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
                quarter(*q)
            for q in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                quarter(*q)
        stream += struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(s, start)))
        counter += 1
    return stream[:length]


def u32(n):
    return struct.pack(">I", n)


def u64(n):
    return struct.pack(">Q", n)


def text(t):
    return u32(len(t.encode())) + t.encode()


SESSION, ROUND, LENGTH = bytes([0xAA] * 16), 7, 4
FACTORS = bytes([0xF0] * 32)
NAMES = ["north", "süd", "west"]
IDENTITIES = [bytes([0x40 + i] * 32) for i in range(3)]
MASK_SECRETS = [bytes([i + 1] * 32) for i in range(3)]
SEAL_SECRETS = [bytes([i + 0x21] * 32) for i in range(3)]
SEEDS = [bytes([0x10 + i] * 32) for i in range(3)]
NINE = (9).to_bytes(32, "little")
MASK_KEYS = [x25519(s, NINE) for s in MASK_SECRETS]
SEAL_KEYS = [x25519(s, NINE) for s in SEAL_SECRETS]
X = [[1.5, -2.25, 0, 1000], [0.5, 0.125, -7, -1000], [-3, 2, 7, 0.25]]
RING_BITS, FRACTION_BITS, MAGNITUDE_MAX, THRESHOLD = 64, 24, 1024 * 2**24, 3

cohort = b"cohort/v1" + SESSION + u64(ROUND) + text("statistics")
cohort += u32(3) + u32(THRESHOLD) + u32(RING_BITS) + u32(FRACTION_BITS) + u64(MAGNITUDE_MAX) + u64(LENGTH) + u32(3)
for i in range(3):
    cohort += u32(i) + text(NAMES[i]) + IDENTITIES[i] + SEAL_KEYS[i] + MASK_KEYS[i]
COHORT = hashlib.sha256(cohort).digest()
BINDING = FACTORS + COHORT


def pair_key(i, j):
    lo, hi = min(i, j), max(i, j)
    info = b"mask/v1" + u64(ROUND) + u32(lo) + u32(hi) + MASK_KEYS[lo] + MASK_KEYS[hi] + BINDING
    return hkdf(x25519(MASK_SECRETS[i], MASK_KEYS[j]), SESSION, info)


def self_key(i):
    return hkdf(SEEDS[i], SESSION, b"self/v1" + u64(ROUND) + u32(i) + BINDING)


def mask(key):
    return struct.unpack(f"<{LENGTH}Q", chacha20(key, 8 * LENGTH))


assert x25519(MASK_SECRETS[0], MASK_KEYS[1]) == x25519(MASK_SECRETS[1], MASK_KEYS[0])
Y = []
for i in range(3):
    y = [round(x * 2**FRACTION_BITS) + m for x, m in zip(X[i], mask(self_key(i)))]
    for j in range(3):
        if j != i:
            sign = 1 if i < j else -1
            y = [a + sign * m for a, m in zip(y, mask(pair_key(i, j)))]
    Y.append([f"{a % 2**64:016x}" for a in y])

print(
    json.dumps(
        {
            "names": NAMES,
            "identity_keys": [k.hex() for k in IDENTITIES],
            "mask_keys": [k.hex() for k in MASK_KEYS],
            "seal_keys": [k.hex() for k in SEAL_KEYS],
            "cohort_hash": COHORT.hex(),
            "pair_key_0_1": pair_key(0, 1).hex(),
            "self_key_2": self_key(2).hex(),
            "x": X,
            "y_hex": Y,
        },
        indent=2,
    )
)
