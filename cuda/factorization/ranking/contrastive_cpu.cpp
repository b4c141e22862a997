#include "factorization/ranking/contrastive_cpu.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/ranking/batch_exchange.h"
#include "factorization/ranking/contrastive_kernels.h"
#include "factorization/ranking/contrastive_plan.h"
#include "factorization/ranking/draws.h"
#include "transformer/matmul.h"

namespace sartor::cuda {
namespace {

int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
int32_t* words(float* p) { return reinterpret_cast<int32_t*>(p); }
Operand transposed(const float* rows, int64_t columns) { return {rows, 1, columns, Store::fp32}; }

const ContrastiveKernels& kernels_for(Context& context) {
  return best_of(cpu(context).isa, v3::contrastive_kernels, v4::contrastive_kernels);
}

// The negatives of a batch, packed for products with the vectors of users.
class Negatives {
 public:
  Negatives(const MatmulKernels& matmul, const ContrastiveTask& task, int threads)
      : matmul_(matmul),
        task_(task),
        threads_(threads),
        ids_(task.params.negatives),
        packed_(task.items.columns * rounded_up(task.params.negatives, matmul.panel_columns)),
        rows_(threads, std::vector<float>(matmul.panel_columns * task.items.columns)) {}

  int32_t operator[](int64_t place) const { return ids_[place]; }

  void draw(int64_t batch) {
    draw_negatives(task_.seed, batch, task_.items.rows, ids_);
    const int64_t f = task_.items.columns, panel = matmul_.panel_columns, size = std::ssize(ids_);
    parallel_for(threads_, rounded_up(size, panel) / panel, 8, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t first = begin * panel; first < end * panel; first += panel) {
        const int64_t count = std::min(panel, size - first);
        float* rows = rows_[thread].data();
        for (int64_t k = 0; k < count; k++) std::copy_n(task_.items.data + ids_[first + k] * f, f, rows + k * f);
        each_depth([&](int64_t depth, int64_t some, float* block) {
          matmul_.pack_right(transposed(rows + depth, f), count, some, words(block + first * some));
        });
      }
    });
  }

  // scores (count, N) = vectors (count, f) of users, and the negatives
  void score(const float* vectors, int64_t count, std::vector<float>& left, std::vector<float>& scores) {
    const int64_t f = task_.items.columns, size = std::ssize(ids_);
    left.resize(matmul_.panel_rows * std::min(f, matmul_depth) + 16);
    scores.resize(matmul_.panel_rows * size);
    each_depth([&](int64_t depth, int64_t some, float* block) {
      matmul_.pack_left({vectors + depth, f, 1, Store::fp32}, count, some, words(left.data()));
      matmul_.multiply({.left = words(left.data()),
                        .right = words(block),
                        .rows = count,
                        .columns = size,
                        .words = some,
                        .bias = nullptr,
                        .add = depth > 0,
                        .c = scores.data(),
                        .c_stride = size,
                        .c_store = Store::fp32});
    });
  }

 private:
  // Calls use(first column, number of columns, their panels).
  template <class Use> void each_depth(const Use& use) {
    const int64_t f = task_.items.columns, padded = std::ssize(packed_) / f;
    for (int64_t depth = 0; depth < f; depth += matmul_depth) {
      use(depth, std::min(matmul_depth, f - depth), packed_.data() + depth * padded);
    }
  }

  const MatmulKernels& matmul_;
  const ContrastiveTask& task_;
  int threads_;
  std::vector<int32_t> ids_;
  std::vector<float> packed_;
  std::vector<std::vector<float>> rows_;  // of a panel, per thread
};

// Parts of the gradients with respect to items, sorted by item; parts of one item stay in order.
class GradientsByItem {
 public:
  explicit GradientsByItem(int64_t items) : group_of_(items, -1) {}

  int64_t groups() const { return std::ssize(items_); }
  int32_t item(int64_t group) const { return items_[group]; }
  const ItemGradient* parts(int64_t group) const { return sorted_.data() + offsets_[group]; }
  int64_t count(int64_t group) const { return offsets_[group + 1] - offsets_[group]; }

  void add(int32_t item, ItemGradient part) {
    int32_t& group = group_of_[item];
    if (group < 0) {
      group = static_cast<int32_t>(items_.size());
      items_.push_back(item);
      sizes_.push_back(0);
    }
    sizes_[group]++;
    added_.emplace_back(group, part);
  }
  void sort() {
    offsets_.assign(groups() + 1, 0);
    std::partial_sum(sizes_.begin(), sizes_.end(), offsets_.begin() + 1);
    std::copy_n(offsets_.begin(), groups(), sizes_.begin());  // next place of each group
    sorted_.resize(added_.size());
    for (const auto& [group, part] : added_) sorted_[sizes_[group]++] = part;
  }
  void clear() {
    for (const int32_t item : items_) group_of_[item] = -1;
    items_.clear();
    sizes_.clear();
    added_.clear();
  }

 private:
  std::vector<int32_t> group_of_;  // of each item; -1: none
  std::vector<int32_t> items_;     // of each group
  std::vector<int64_t> sizes_, offsets_;
  std::vector<std::pair<int32_t, ItemGradient>> added_;
  std::vector<ItemGradient> sorted_;
};

class Epoch {
 public:
  Epoch(Context& context, const ContrastiveTask& task)
      : task_(task),
        kernels_(kernels_for(context)),
        threads_(cpu(context).threads),
        tile_(best_of(cpu(context).isa, v3::matmul_fp32, v4::matmul_fp32).panel_rows),
        negatives_(best_of(cpu(context).isa, v3::matmul_fp32, v4::matmul_fp32), task, threads_),
        by_item_(task.items.rows),
        exchange_(task, tile_),
        scratch_(threads_) {
    const int64_t f = task.items.columns;
    for (auto* vectors : {&directions_, &sums_, &shares_}) vectors->resize(task.params.batch * f);
    found_.resize(task.params.batch);
    for (Scratch& own : scratch_) own.gradient.resize(f);
  }

  void run() {
    const auto users = shuffled_users(task_.chosen, task_.seed);
    const int64_t size = std::ssize(users);
    for (int64_t first = 0, batch = 1; first < size; first += task_.params.batch, batch++) {
      negatives_.draw(batch);
      start(std::span(users).subspan(first, std::min(task_.params.batch, size - first)));
      const auto [begin, end] = exchange_.own(std::ssize(users_));
      parallel_for(threads_, rounded_up(end - begin, tile_) / tile_, 1, [&](int64_t tile, int64_t, int thread) {
        const int64_t first_slot = begin + tile * tile_;
        update_users(first_slot, std::min(end, first_slot + tile_), scratch_[thread]);
      });
      if (task_.peers) get_others(begin, end);
      update_items();
    }
  }

 private:
  struct Scratch {
    std::vector<float> left, scores, gradient;
    std::vector<int32_t> above;
  };

  void start(std::span<const int32_t> users) {
    const int64_t f = task_.items.columns;
    users_.clear();
    for (const int32_t user : users) {
      const int64_t at = std::ssize(users_) * f;
      users_.push_back({user, directions_.data() + at, sums_.data() + at, shares_.data() + at, 0});
    }
  }

  void update_users(int64_t begin, int64_t end, Scratch& own) {
    const int64_t size = task_.params.negatives;
    const ContrastiveUsersTask users = {task_.chosen, task_.users, task_.items, task_.params.history_weight, {}};
    for (int64_t slot = begin; slot < end; slot++) kernels_.represent(users, users_[slot]);
    negatives_.score(users_[begin].direction, end - begin, own.left, own.scores);
    own.above.resize(size);
    for (int64_t slot = begin; slot < end; slot++) {
      const BatchUser& user = users_[slot];
      const float* scores = own.scores.data() + (slot - begin) * size;
      const int64_t above = kernels_.find_above(scores, size, task_.params.margin, own.above.data());
      auto& found = found_[slot];
      found.clear();
      for (const int32_t place : std::span(own.above).first(above)) {
        if (!contains(task_.chosen, user.index, negatives_[place])) found.push_back(negatives_[place]);
      }
      kernels_.update_user(task_, user, found.data(), std::ssize(found), own.gradient.data());
    }
  }

  // The users of the slots before `begin` and from `end` on.
  void get_others(int64_t begin, int64_t end) {
    const ContrastiveUsersTask users = {task_.chosen, task_.users, task_.items, task_.params.history_weight, {}};
    parallel_for(threads_, std::ssize(users_), 1, [&](int64_t slot, int64_t, int) {
      if (slot < begin || end <= slot) kernels_.represent(users, users_[slot]);
    });
    exchange_.run(users_, found_);
  }

  void update_items() {
    by_item_.clear();
    for (size_t slot = 0; slot < users_.size(); slot++) {
      const BatchUser& user = users_[slot];
      const std::span chosen(task_.chosen.ids + task_.chosen.offsets[user.index],
                             task_.chosen.ids + task_.chosen.offsets[user.index + 1]);
      for (const int32_t item : chosen) by_item_.add(item, {1, user.share});
      const float weight =
          static_cast<float>(chosen.size()) * task_.params.negative_weight / static_cast<float>(task_.params.negatives);
      for (const int32_t item : found_[slot]) by_item_.add(item, {weight, user.direction});
    }
    by_item_.sort();
    parallel_for(threads_, by_item_.groups(), 64, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t group = begin; group < end; group++) {
        kernels_.update_item(task_, by_item_.item(group), by_item_.parts(group), by_item_.count(group),
                             scratch_[thread].gradient.data());
      }
    });
  }

  const ContrastiveTask& task_;
  const ContrastiveKernels& kernels_;
  int threads_;
  int64_t tile_;  // users whose scores are computed together
  Negatives negatives_;
  GradientsByItem by_item_;
  BatchExchange exchange_;
  std::vector<Scratch> scratch_;                   // per thread
  std::vector<float> directions_, sums_, shares_;  // (batch, f)
  std::vector<BatchUser> users_;                   // of the batch
  std::vector<std::vector<int32_t>> found_;        // negatives above the margin, of each user of the batch
};

}  // namespace

void contrastive_epoch_cpu(Context& context, const ContrastiveTask& task) { Epoch(context, task).run(); }

void contrastive_users_cpu(Context& context, const ContrastiveUsersTask& task) {
  const ContrastiveKernels& kernels = kernels_for(context);
  parallel_for(cpu(context).threads, task.vectors.rows, 64, [&](int64_t begin, int64_t end, int) {
    std::vector<float> sum(task.items.columns);
    for (int64_t user = begin; user < end; user++) {
      BatchUser row = {user, task.vectors.row(user), sum.data(), nullptr, 0};
      kernels.represent(task, row);
    }
  });
}

}  // namespace sartor::cuda
