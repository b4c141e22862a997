// Inner loop of SGD. Compiled once per instruction set; everything except the table at the end is local to this file.
//
// Ratings follow each other in random order, so that the processor can overlap the updates of several of them.
#include "factorization/sgd/sgd_kernels.h"
#include "factorization/sgd/sgd_vectors_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

// A row, and what its update depends on.
template <bool adagrad> struct Row {
  float* x;
  float* squares;
  float weight, eta;

  [[gnu::always_inline]] Row(const SgdSide& side, int64_t index, float learning_rate)
      : x(side.rows.data + index * side.rows.columns),
        squares(side.squares + (adagrad ? index : 0)),
        weight(side.weights[index]),
        eta(adagrad ? learning_rate / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(1 + *squares))) : learning_rate) {}
};

template <bool adagrad, class Length> class Trainer {
 public:
  explicit Trainer(const SgdTask& task)
      : task_(task),
        user_head_(task.params, 0),
        item_head_(task.params, 1),
        regularization_(broadcast(task.params.regularization)),
        share_(1 / static_cast<float>(task.factors)),
        vectors_(task.users.rows.columns / width) {}

  // Returns the sum of the squared errors.
  double train(const SgdRating* rating, const SgdRating* end) const {
    double squares = 0;
    for (; rating < end; rating++) {
      const Row<adagrad> user(task_.users, rating->user, task_.params.learning_rate);
      const Row<adagrad> item(task_.items, rating->item, task_.params.learning_rate);
      const float error = rating->value - dot(Length(), vectors_, user.x, item.x);
      update(user, item, broadcast(error));
      squares += static_cast<double>(error) * error;
    }
    return squares;
  }

 private:
  [[gnu::always_inline]] inline void update(const Row<adagrad>& user, const Row<adagrad>& item, Vector error) const {
    Vector user_squares = {}, item_squares = {};
    const auto step = [&](int64_t v, Vector user_decay, Vector item_decay, Vector user_rate, Vector item_rate)
        __attribute__((always_inline)) {
      const Vector x = load(user.x + v * width), y = load(item.x + v * width);
      const Vector gx = user_rate * sgd_gradient(error, y, user_decay, x);
      const Vector gy = item_rate * sgd_gradient(error, x, item_decay, y);
      store(user.x + v * width, multiply_add(broadcast(user.eta), gx, x));
      store(item.x + v * width, multiply_add(broadcast(item.eta), gy, y));
      if constexpr (adagrad) {
        user_squares = multiply_add(gx, gx, user_squares);
        item_squares = multiply_add(gy, gy, item_squares);
      }
    };
    const Vector user_weight = broadcast(user.weight), item_weight = broadcast(item.weight), one = broadcast(1);
    step(0, user_head_.regularization * user_weight, item_head_.regularization * item_weight, user_head_.rate,
         item_head_.rate);
    for_vectors(
        Length(), vectors_, 1, [&](int64_t v) __attribute__((always_inline)) {
          step(v, regularization_ * user_weight, regularization_ * item_weight, one, one);
        });
    if constexpr (adagrad) {
      *user.squares += share_ * sum(user_squares);
      *item.squares += share_ * sum(item_squares);
    }
  }

  const SgdTask& task_;
  const Head user_head_, item_head_;
  const Vector regularization_;
  const float share_;
  const int64_t vectors_;
};

double train(const SgdTask& task, int64_t begin, int64_t end) {
  const SgdRating* ratings = task.grid.ratings;
  return with_length(task.users.rows.columns / width, [&]<class Length>(Length) {
    return task.users.squares ? Trainer<true, Length>(task).train(ratings + begin, ratings + end)
                              : Trainer<false, Length>(task).train(ratings + begin, ratings + end);
  });
}

}  // namespace

extern const SgdKernels sgd_kernels = {train};

}  // namespace sartor::cuda::SARTOR_ISA
