// Inner loops of SVD++. Compiled once per instruction set; everything except the table at the end is local to this
// file.
#include "factorization/sgd/sgd_vectors_isa.h"
#include "factorization/sgd/svdpp_kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

template <class Length> class Trainer {
 public:
  explicit Trainer(const SvdppTask& task)
      : task_(task),
        columns_(task.users.rows.columns),
        vectors_(columns_ / width),
        eta_(broadcast(task.params.learning_rate)),
        regularization_(broadcast(task.params.regularization)) {}

  double train_user(int64_t user, SvdppUser state) const {
    const int64_t begin = task_.ratings.offsets[user], end = task_.ratings.offsets[user + 1];
    const float norm = 1 / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(static_cast<float>(end - begin))));
    float* x = task_.users.rows.data + user * columns_;
    add_implicit(begin, end, x, broadcast(norm), state);
    const Head head(task_.params, 0);
    const Vector weight = broadcast(task_.users.weights[user]), one = broadcast(1);
    double squares = 0;
    for (int64_t k = begin; k < end; k++) {
      const float* q = task_.items.rows.data + task_.ratings.columns[k] * columns_;
      const float e = task_.ratings.values[k] - dot(Length(), vectors_, state.z, q);
      const Vector error = broadcast(e);
      const auto step = [&](int64_t v, Vector decay, Vector rate) __attribute__((always_inline)) {
        const Vector own = load(x + v * width), other = load(q + v * width);
        const Vector change = eta_ * rate * sgd_gradient(error, other, decay, own);
        store(x + v * width, own + change);
        store(state.z + v * width, load(state.z + v * width) + change);
        store(state.s + v * width, multiply_add(error, other, load(state.s + v * width)));
      };
      step(0, head.regularization * weight, head.rate);
      for_vectors(
          Length(), vectors_,
          1, [&](int64_t v) __attribute__((always_inline)) { step(v, regularization_ * weight, one); });
      squares += static_cast<double>(e) * e;
    }
    for_vectors(
        Length(), vectors_, 0, [&](int64_t v) __attribute__((always_inline)) {
          store(state.s + v * width, load(state.s + v * width) * broadcast(norm));
        });
    return squares;
  }

  void train_item(const SvdppVisit* visit, float* states) const {
    float* q = task_.items.rows.data + visit->item * columns_;
    float* y = task_.implicit.data + visit->item * columns_;
    const Head head(task_.params, 1);
    const Vector weight = broadcast(task_.items.weights[visit->item]), one = broadcast(1);
    const Vector only_factors = indices() >= static_cast<int>(sgd_bias_columns) ? one : Vector{};
    for (int64_t k = visit[0].first; k < visit[1].first; k++) {
      const SvdppEntry entry = task_.batches.entries[k];
      const float *z = states + 2 * columns_ * entry.place, *s = z + columns_;
      const Vector error = broadcast(entry.value - dot(Length(), vectors_, z, q));
      const auto step = [&](int64_t v, Vector decay, Vector rate, Vector implicit_rate) __attribute__((always_inline)) {
        const Vector own = load(q + v * width), implicit = load(y + v * width);
        const Vector implicit_gradient = load(s + v * width) - regularization_ * weight * implicit;
        store(q + v * width, multiply_add(eta_, rate * sgd_gradient(error, load(z + v * width), decay, own), own));
        store(y + v * width, multiply_add(eta_, implicit_rate * implicit_gradient, implicit));
      };
      step(0, head.regularization * weight, head.rate, only_factors);
      for_vectors(
          Length(), vectors_,
          1, [&](int64_t v) __attribute__((always_inline)) { step(v, regularization_ * weight, one, one); });
    }
  }

 private:
  // z = x + norm sum of y, s = 0
  void add_implicit(int64_t begin, int64_t end, const float* x, Vector norm, SvdppUser state) const {
    for_vectors(
        Length(), vectors_, 0, [&](int64_t v) __attribute__((always_inline)) { store(state.z + v * width, Vector{}); });
    for (int64_t k = begin; k < end; k++) {
      const float* y = task_.implicit.data + task_.ratings.columns[k] * columns_;
      for_vectors(
          Length(), vectors_, 0, [&](int64_t v) __attribute__((always_inline)) {
            store(state.z + v * width, load(state.z + v * width) + load(y + v * width));
          });
    }
    for_vectors(
        Length(), vectors_, 0, [&](int64_t v) __attribute__((always_inline)) {
          store(state.z + v * width, multiply_add(norm, load(state.z + v * width), load(x + v * width)));
          store(state.s + v * width, Vector{});
        });
  }

  const SvdppTask& task_;
  const int64_t columns_, vectors_;
  const Vector eta_, regularization_;
};

double train_user(const SvdppTask& task, int64_t user, SvdppUser state) {
  return with_length(task.users.rows.columns / width,
                     [&]<class Length>(Length) { return Trainer<Length>(task).train_user(user, state); });
}

void train_item(const SvdppTask& task, const SvdppVisit* visit, float* states) {
  with_length(task.users.rows.columns / width,
              [&]<class Length>(Length) { Trainer<Length>(task).train_item(visit, states); });
}

}  // namespace

extern const SvdppKernels svdpp_kernels = {train_user, train_item};

}  // namespace sartor::cuda::SARTOR_ISA
