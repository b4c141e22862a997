#include "linear/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace sartor::cuda {
namespace {

// A symmetric matrix that becomes tridiagonal by reflections, which are collected in q: A = Q T Q^T. Rows of q are
// the transposed columns of Q, so that rotations of two columns work on contiguous numbers.
struct Tridiagonal {
  int64_t n;
  std::vector<double> diagonal, beside;  // beside[i] is the element (i, i + 1)
  std::vector<double> q;                 // (n, n)
};

// Reflects A by H = 1 - 2 v v^T from both sides: A -= 2 (v w^T + w v^T) with w = A v - (v^T A v) v.
void reflect(std::vector<double>& a, int64_t n, int64_t first, const std::vector<double>& v) {
  std::vector<double> w(n);
  double product = 0;
  for (int64_t i = first; i < n; i++) {
    for (int64_t j = first; j < n; j++) w[i] += a[i * n + j] * v[j];
    product += v[i] * w[i];
  }
  for (int64_t i = first; i < n; i++) w[i] -= product * v[i];
  for (int64_t i = first; i < n; i++) {
    for (int64_t j = first; j < n; j++) a[i * n + j] -= 2 * (v[i] * w[j] + w[i] * v[j]);
  }
}

// q = H q
void reflect_rows(std::vector<double>& q, int64_t n, int64_t first, const std::vector<double>& v) {
  std::vector<double> products(n);
  for (int64_t i = first; i < n; i++) {
    for (int64_t j = 0; j < n; j++) products[j] += v[i] * q[i * n + j];
  }
  for (int64_t i = first; i < n; i++) {
    for (int64_t j = 0; j < n; j++) q[i * n + j] -= 2 * v[i] * products[j];
  }
}

Tridiagonal tridiagonalize(std::vector<double>& a, int64_t n) {
  Tridiagonal result = {n, std::vector<double>(n), std::vector<double>(n), std::vector<double>(n * n)};
  for (int64_t i = 0; i < n; i++) result.q[i * n + i] = 1;
  for (int64_t k = 0; k + 1 < n; k++) {
    double norm = 0;
    for (int64_t i = k + 1; i < n; i++) norm = std::hypot(norm, a[i * n + k]);
    const double sign = a[(k + 1) * n + k] < 0 ? -1 : 1;
    result.beside[k] = -sign * norm;
    std::vector<double> v(n);
    double squares = 0;
    for (int64_t i = k + 1; i < n; i++) {
      v[i] = a[i * n + k] + (i == k + 1 ? sign * norm : 0);
      squares += v[i] * v[i];
    }
    if (squares == 0) continue;
    for (double& x : v) x /= std::sqrt(squares);
    reflect(a, n, k + 1, v);
    reflect_rows(result.q, n, k + 1, v);
  }
  for (int64_t i = 0; i < n; i++) result.diagonal[i] = a[i * n + i];
  return result;
}

// Rotates rows i and i + 1 of q.
void rotate(Tridiagonal& t, int64_t i, double c, double s) {
  double *const lower = &t.q[i * t.n], *const upper = lower + t.n;
  for (int64_t j = 0; j < t.n; j++) {
    const double x = upper[j];
    upper[j] = s * lower[j] + c * x;
    lower[j] = c * lower[j] - s * x;
  }
}

// One QL step on rows first to last with Wilkinson's shift.
void step(Tridiagonal& t, int64_t first, int64_t last) {
  auto& d = t.diagonal;
  auto& e = t.beside;
  double g = (d[first + 1] - d[first]) / (2 * e[first]), r = std::hypot(g, 1.0);
  g = d[last] - d[first] + e[first] / (g + std::copysign(r, g));
  double s = 1, c = 1, p = 0;
  for (int64_t i = last - 1; i >= first; i--) {
    const double f = s * e[i], b = c * e[i];
    r = std::hypot(f, g);
    e[i + 1] = r;
    if (r == 0) {  // decoupled before the end
      d[i + 1] -= p;
      e[last] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = d[i + 1] - p;
    r = (d[i] - g) * s + 2 * c * b;
    p = s * r;
    d[i + 1] = g + p;
    g = c * r - b;
    rotate(t, i, c, s);
  }
  d[first] -= p;
  e[first] = g;
  e[last] = 0;
}

void diagonalize(Tridiagonal& t) {
  constexpr int most_steps = 60;
  for (int64_t first = 0; first < t.n; first++) {
    for (int steps = 0;; steps++) {
      int64_t last = first;
      for (; last + 1 < t.n; last++) {
        const double scale = std::abs(t.diagonal[last]) + std::abs(t.diagonal[last + 1]);
        if (std::abs(t.beside[last]) <= std::numeric_limits<double>::epsilon() * scale) break;
      }
      if (last == first) break;
      if (steps == most_steps) throw std::runtime_error("symmetric_eigen: no convergence; are all values finite?");
      step(t, first, last);
    }
  }
}

}  // namespace

SymmetricEigen symmetric_eigen(std::vector<double> matrix, int64_t n) {
  Tridiagonal t = tridiagonalize(matrix, n);
  diagonalize(t);
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return t.diagonal[a] > t.diagonal[b]; });
  SymmetricEigen result = {std::vector<double>(n), std::vector<double>(n * n)};
  for (int64_t j = 0; j < n; j++) {
    result.values[j] = t.diagonal[order[j]];
    for (int64_t i = 0; i < n; i++) result.vectors[i * n + j] = t.q[order[j] * n + i];
  }
  return result;
}

}  // namespace sartor::cuda
