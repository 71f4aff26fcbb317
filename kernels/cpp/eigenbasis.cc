// The eigenvectors of a Gram, G = V Λ Vᵀ, in f64. In their basis s·G + λI is diagonal for every λ at once, so that rows
// of all lengths share the work of taking G out of their systems.
//
// Householder's reduction to a tridiagonal matrix and the implicit QL algorithm (Golub and Van Loan, "Matrix
// Computations", 8.3), arranged so that every long loop runs along rows. Entry by entry, in one order: the same bits on
// every machine. Cost: about 9 K³ flops. The caller has scaled G so that its entries are of order 1.

#include <math.h>

#include "kernel-table.h"

namespace stoa {
namespace STOA_ISA {

/** More iterations than this for one eigenvalue were never seen; two are usual. */
constexpr int kIterationsMax = 90;

/** y += a·x. */
static inline void addScaled(int64_t n, double a, const double* x, double* y) {
  for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

static inline double product(int64_t n, const double* a, const double* b) {
  double s[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++) s[j] += a[i + j] * b[i + j];
  for (; i < n; i++) s[0] += a[i] * b[i];
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/**
 * Reduces `a` to a tridiagonal matrix with `diagonal` and `beside`. Row k of `a` keeps the reflector v of step k in its
 * columns k+1 and on, `tau[k]` its factor: H = I − tau v vᵀ.
 */
static bool tridiagonalise(double* a, int64_t n, double* diagonal, double* beside, double* tau, double* p,
                           const int32_t* abort) {
  for (int64_t k = 0; k + 1 < n; k++) {
    if (isAborted(abort)) return false;
    const int64_t m = n - k - 1;
    double* v = a + k * n + k + 1;
    diagonal[k] = a[k * n + k];
    const double tail = m > 1 ? product(m - 1, v + 1, v + 1) : 0;
    if (tail == 0) {
      beside[k] = v[0];
      tau[k] = 0;
      continue;
    }
    const double length = sqrt(v[0] * v[0] + tail);
    const double alpha = v[0] > 0 ? -length : length;
    beside[k] = alpha;
    v[0] -= alpha;
    tau[k] = 2 / (v[0] * v[0] + tail);
    double* rest = a + (k + 1) * n + k + 1;
    for (int64_t i = 0; i < m; i++) p[i] = 0;
    for (int64_t i = 0; i < m; i++) addScaled(m, tau[k] * v[i], rest + i * n, p);
    addScaled(m, -0.5 * tau[k] * product(m, p, v), v, p);
    for (int64_t i = 0; i < m; i++) {
      double* row = rest + i * n;
      const double vi = v[i];
      const double pi = p[i];
      for (int64_t j = 0; j < m; j++) row[j] -= vi * p[j] + pi * v[j];
    }
  }
  diagonal[n - 1] = a[n * n - 1];
  beside[n - 1] = 0;
  return true;
}

/** q = H₀ H₁ ⋯, then its transpose. */
static bool accumulate(const double* a, int64_t n, const double* tau, double* q, double* sums, const int32_t* abort) {
  for (int64_t i = 0; i < n * n; i++) q[i] = 0;
  for (int64_t i = 0; i < n; i++) q[i * n + i] = 1;
  for (int64_t k = n - 2; k >= 0; k--) {
    if (isAborted(abort)) return false;
    if (tau[k] == 0) continue;
    const int64_t m = n - k - 1;
    const double* v = a + k * n + k + 1;
    double* rest = q + (k + 1) * n + k + 1;
    for (int64_t j = 0; j < m; j++) sums[j] = 0;
    for (int64_t i = 0; i < m; i++) addScaled(m, v[i], rest + i * n, sums);
    for (int64_t i = 0; i < m; i++) addScaled(m, -tau[k] * v[i], sums, rest + i * n);
  }
  for (int64_t r = 0; r < n; r++)
    for (int64_t c = 0; c < r; c++) {
      const double t = q[r * n + c];
      q[r * n + c] = q[c * n + r];
      q[c * n + r] = t;
    }
  return true;
}

/** Rows i and i + 1 turned by the angle of (c, s). */
static inline void turnRows(double* z, int64_t n, int64_t i, double c, double s) {
  double* upper = z + i * n;
  double* lower = upper + n;
  for (int64_t k = 0; k < n; k++) {
    const double u = upper[k];
    const double l = lower[k];
    lower[k] = s * u + c * l;
    upper[k] = c * u - s * l;
  }
}

/** Where the matrix falls apart at or after `l`: the first row whose coupling to the next is nothing. */
static int64_t firstSplit(const double* d, const double* e, int64_t l, int64_t n, double tiny) {
  int64_t m = l;
  while (m < n - 1 && fabs(e[m]) > 0x1p-52 * (fabs(d[m]) + fabs(d[m + 1])) && fabs(e[m]) > tiny) m++;
  return m;
}

/** One implicit QL sweep from row m up to row l. */
static void sweep(double* d, double* e, double* z, int64_t n, int64_t l, int64_t m) {
  double g = (d[l + 1] - d[l]) / (2 * e[l]);
  double r = sqrt(g * g + 1);
  g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r));
  double s = 1;
  double c = 1;
  double p = 0;
  for (int64_t i = m - 1; i >= l; i--) {
    const double f = s * e[i];
    const double b = c * e[i];
    r = sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r == 0) {
      d[i + 1] -= p;
      e[m] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = d[i + 1] - p;
    r = (d[i] - g) * s + 2 * c * b;
    p = s * r;
    d[i + 1] = g + p;
    g = c * r - b;
    turnRows(z, n, i, c, s);
  }
  d[l] -= p;
  e[l] = g;
  e[m] = 0;
}

/** @param work f64 [K² + 3 K]. */
int eigenbasis(const double* gram, int32_t factors, double* eigenvalues, double* basis, double* work,
               const int32_t* abort) {
  const int64_t n = factors;
  double* a = work;
  double* beside = a + n * n;
  double* tau = beside + n;
  double* p = tau + n;
  for (int64_t i = 0; i < n * n; i++) a[i] = gram[i];
  if (!tridiagonalise(a, n, eigenvalues, beside, tau, p, abort)) return 1;
  if (!accumulate(a, n, tau, basis, p, abort)) return 1;
  double size = 0;
  for (int64_t i = 0; i < n; i++) {
    const double most = fabs(eigenvalues[i]) + fabs(beside[i]);
    size = most > size ? most : size;
  }
  // Against the whole matrix, not only the neighbours: where G is singular these are rounding errors themselves.
  const double tiny = 0x1p-52 * size;
  for (int64_t l = 0; l < n; l++) {
    for (int iteration = 0;; iteration++) {
      if (isAborted(abort)) return 1;
      const int64_t m = firstSplit(eigenvalues, beside, l, n, tiny);
      if (m == l) break;
      if (iteration == kIterationsMax) return 2;
      sweep(eigenvalues, beside, basis, n, l, m);
    }
  }
  return 0;
}

}  // namespace STOA_ISA
}  // namespace stoa
