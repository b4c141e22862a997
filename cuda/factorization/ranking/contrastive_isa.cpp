// Inner loops of contrastive_epoch. Compiled once per instruction set; everything except the table at the end is local
// to this file.
#include "factorization/ranking/contrastive_kernels.h"
#include "factorization/ranking/rows_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr float shortest = 1e-12f;  // length of vectors that are scaled to length 1
constexpr int64_t ahead = 8;        // items whose rows are fetched

float root_of(float x) { return root(broadcast(x))[0]; }

void fill_zero(float* row, int64_t columns) {
  for_vectors(columns, [&](int64_t count, int64_t at) { store_part(row + at, Vector{}, count); });
}

void add(float weight, const float* from, int64_t columns, float* to) {
  const Vector weights = broadcast(weight);
  for_vectors(columns, [&](int64_t count, int64_t at) {
    store_part(to + at, multiply_add(weights, load_part(from + at, count), load_part(to + at, count)), count);
  });
}

void scale(float factor, int64_t columns, float* row) {
  const Vector factors = broadcast(factor);
  for_vectors(columns,
              [&](int64_t count, int64_t at) { store_part(row + at, factors * load_part(row + at, count), count); });
}

int64_t size_of(const IdLists& lists, int64_t row) { return lists.offsets[row + 1] - lists.offsets[row]; }

void represent(const ContrastiveUsersTask& task, BatchUser& user) {
  const int64_t f = task.items.columns, n = size_of(task.chosen, user.index);
  const int32_t *items = task.chosen.ids + task.chosen.offsets[user.index], *end = items + n;
  fill_zero(user.sum, f);
  for (const int32_t* item = items; item < end; item++) {
    if (item + ahead < end) fetch(task.items.data + item[ahead] * f, f);
    add(1, task.items.data + *item * f, f, user.sum);
  }
  const bool own = task.users.data != nullptr;
  const float of_history = own ? task.history_weight : 1.0f;
  fill_zero(user.direction, f);
  if (n > 0) add(of_history / static_cast<float>(n), user.sum, f, user.direction);
  if (n > 0 && own) add(1 - of_history, task.users.data + user.index * f, f, user.direction);
  user.length = root_of(dot(user.direction, user.direction, f));
  scale(1 / (user.length > shortest ? user.length : shortest), f, user.direction);
}

int64_t find_above(const float* scores, int64_t count, float margin, int32_t* found) {
  int64_t number = 0;
  for_vectors(count, [&](int64_t some, int64_t at) {
    uint32_t bits = above(load_part(scores + at, some), broadcast(margin)) & ((1u << some) - 1);
    for (; bits != 0; bits &= bits - 1) found[number++] = static_cast<int32_t>(at + __builtin_ctz(bits));
  });
  return number;
}

// Removes the part along the unit vector.
void project(const float* unit, int64_t columns, float* gradient) {
  add(-dot(gradient, unit, columns), unit, columns, gradient);
}

// A step of AdaGrad on the sphere.
void move(float rate, int64_t columns, float* gradient, float* squares, float* row) {
  project(row, columns, gradient);
  *squares += dot(gradient, gradient, columns);
  if (!(*squares > 0)) return;
  add(-rate / root_of(*squares), gradient, columns, row);
  scale(1 / root_of(dot(row, row, columns)), columns, row);
}

void update_user(const ContrastiveTask& task, const BatchUser& user, const int32_t* negatives, int64_t count,
                 float* gradient) {
  const int64_t f = task.items.columns;
  const auto n = static_cast<float>(size_of(task.chosen, user.index));
  const float weight = n * task.params.negative_weight / static_cast<float>(task.params.negatives);
  fill_zero(gradient, f);
  for (int64_t k = 0; k < count; k++) add(weight, task.items.data + negatives[k] * f, f, gradient);
  add(-1, user.sum, f, gradient);  // with respect to x
  project(user.direction, f, gradient);
  scale(1 / (user.length > shortest ? user.length : shortest), f, gradient);  // with respect to p
  fill_zero(user.share, f);
  add(task.params.history_weight / n, gradient, f, user.share);
  add(-1, user.direction, f, user.share);
  scale(1 - task.params.history_weight, f, gradient);
  move(task.params.learning_rate, f, gradient, task.user_squares + user.index, task.users.data + user.index * f);
}

void update_item(const ContrastiveTask& task, int32_t item, const ItemGradient* parts, int64_t count, float* gradient) {
  const int64_t f = task.items.columns;
  fill_zero(gradient, f);
  for (int64_t k = 0; k < count; k++) add(parts[k].weight, parts[k].vector, f, gradient);
  move(task.params.learning_rate, f, gradient, task.item_squares + item, task.items.data + item * f);
}

}  // namespace

const ContrastiveKernels contrastive_kernels = {
    .represent = represent, .find_above = find_above, .update_user = update_user, .update_item = update_item};

}  // namespace sartor::cuda::SARTOR_ISA
