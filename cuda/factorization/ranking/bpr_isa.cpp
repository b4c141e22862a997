// Inner loops of bpr_epoch. Compiled once per instruction set; everything except the table at the end is local to this
// file.
#include "factorization/ranking/bpr_kernels.h"
#include "factorization/ranking/draws.h"
#include "factorization/ranking/rows_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int64_t ahead = 8;  // pairs whose rows are fetched before the first of them is trained

class Cell {
 public:
  Cell(const BprTask& task, int64_t row, int64_t column)
      : task_(task),
        f_(task.users.columns),
        draws_(task.seed, row * task.blocks + column),
        order_(task.item_order + task.item_bounds[column]),
        items_(task.item_bounds[column + 1] - task.item_bounds[column]) {}

  void train(int64_t first, int64_t last) {
    const int64_t candidates = task_.params.candidates;
    int64_t some = most_bpr_candidates / candidates;  // pairs at a time
    if (some > ahead) some = ahead;
    for (int64_t begin = first; begin < last; begin += some) {
      const int64_t end = begin + some < last ? begin + some : last;
      for (int64_t at = begin; at < end; at++) draw(at, drawn_ + (at - begin) * candidates);
      for (int64_t at = begin; at < end; at++) {
        const int32_t negative = hardest(at, drawn_ + (at - begin) * candidates);
        if (negative >= 0) step(task_.pair_users[at], task_.pair_items[at], negative);
      }
    }
  }

 private:
  float* user(int64_t index) const { return task_.users.data + index * f_; }
  float* item(int64_t index) const { return task_.items.data + index * f_; }

  int32_t draw_unchosen(int32_t user) {
    for (int attempt = 0; attempt < bpr_tries; attempt++) {
      const int32_t drawn = order_[draws_.below(items_)];
      if (!contains(task_.chosen, user, drawn)) return drawn;
    }
    return -1;
  }

  void draw(int64_t pair, int32_t* drawn) {
    const int32_t user_index = task_.pair_users[pair];
    fetch(user(user_index), f_);
    fetch(item(task_.pair_items[pair]), f_);
    for (int64_t candidate = 0; candidate < task_.params.candidates; candidate++) {
      drawn[candidate] = draw_unchosen(user_index);
      if (drawn[candidate] >= 0) fetch(item(drawn[candidate]), f_);
    }
  }

  int32_t hardest(int64_t pair, const int32_t* drawn) const {
    if (task_.params.candidates == 1) return drawn[0];
    const float* x = user(task_.pair_users[pair]);
    int32_t best = -1;
    float most = 0;
    for (int64_t candidate = 0; candidate < task_.params.candidates; candidate++) {
      if (drawn[candidate] < 0) continue;
      const float score = dot(x, item(drawn[candidate]), f_) + task_.item_bias[drawn[candidate]];
      if (best < 0 || score > most) {
        best = drawn[candidate];
        most = score;
      }
    }
    return best;
  }

  // sigma(s_uj - s_ui), the magnitude of the gradient with respect to the difference of the scores.
  float slope(const float* x, const float* y, const float* z, float biases) const {
    Vector products = {};
    for_vectors(f_, [&](int64_t count, int64_t at) {
      products = multiply_add(load_part(x + at, count), load_part(y + at, count) - load_part(z + at, count), products);
    });
    const float difference = sum(products) + biases;
    const float power = exp_negative(broadcast(difference > 0 ? -difference : difference))[0];
    return difference > 0 ? power / (1 + power) : 1 / (1 + power);
  }

  void step(int32_t user_index, int32_t positive, int32_t negative) const {
    float *x = user(user_index), *y = item(positive), *z = item(negative);
    float &b = task_.item_bias[positive], &c = task_.item_bias[negative];
    const float rate = task_.params.learning_rate, kept = 1 - rate * task_.params.regularization;
    const float scale = rate * slope(x, y, z, b - c);
    const Vector scales = broadcast(scale), keeps = broadcast(kept);
    for_vectors(f_, [&](int64_t count, int64_t at) {
      const Vector old = load_part(x + at, count), of_y = load_part(y + at, count), of_z = load_part(z + at, count);
      store_part(x + at, multiply_add(scales, of_y - of_z, keeps * old), count);
      store_part(y + at, multiply_add(scales, old, keeps * of_y), count);
      store_part(z + at, keeps * of_z - scales * old, count);
    });
    b = kept * b + scale;
    c = kept * c - scale;
  }

  const BprTask& task_;
  int64_t f_;
  Draws draws_;
  const int32_t* order_;  // the items of the column
  int64_t items_;
  int32_t drawn_[most_bpr_candidates];
};

void train_cell(const BprTask& task, int64_t row, int64_t column) {
  const int64_t cell = row * task.blocks + column;
  Cell(task, row, column).train(task.cells[cell], task.cells[cell + 1]);
}

}  // namespace

const BprKernels bpr_kernels = {.train_cell = train_cell};

}  // namespace sartor::cuda::SARTOR_ISA
