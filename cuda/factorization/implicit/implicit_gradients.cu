// Conjugate gradients for many rows at once: products with G are products of matrices, those with a row's entries are
// done by a team of threads per row, the longest rows first. Entries of long rows are added in parts by several teams
// before. The order of all sums depends on the row alone.
#include "core/gpu/backend.cuh"
#include "factorization/implicit/gather.cuh"
#include "factorization/implicit/implicit.cuh"
#include "factorization/implicit/implicit_plan.h"
#include "factorization/systems/als_schedule.cuh"

namespace sartor::cuda {
namespace {

constexpr int64_t most_slots = 512;
constexpr int64_t most_blocks_with_memory = 1024, most_factors_of_warps = 1024;

// Rows that are solved together. Vectors are those of the rows from schedule.first_row on.
struct GradientRows : ImplicitRows {
  AlsSchedule schedule;
  float *product, *gradient, *direction;  // (rows, factors)
  float* squares;                         // |gradient|^2 of each row; 0: solved
  float* slots;                           // (slots, factors), sums of parts
  float* own;                             // of teams that need memory
  bool aligned;

  __device__ AlsEquations equations(int64_t index) const { return ImplicitRows::equations(index, factors()); }
  __host__ __device__ int64_t padded_factors() const { return (factors() + 3) / 4 * 4; }
};

// One row of the pass.
struct GradientRow {
  AlsRow row;
  float *x, *product, *gradient, *direction, *squares;

  __device__ GradientRow(const GradientRows& rows, uint32_t place) {
    const int64_t index = rows.schedule.first_row + place, at = place * rows.factors();
    row = rows.row(index, rows.factors());
    x = rows.solved(index);
    product = rows.product + at, gradient = rows.gradient + at, direction = rows.direction + at;
    squares = rows.squares + place;
  }
};

// The first step computes the gradient, the others advance.
__device__ GatherTask gather_task(const GradientRows& rows, const GradientRow& row, bool first) {
  return {rows, row.row, first ? row.x : row.direction, first, rows.aligned};
}

template <class Team> __device__ Team make_team(const GradientRows& rows) {
  return Team(rows.own + blockIdx.x * rows.padded_factors());
}

// Adds the entries of rows that several teams share, part by part.
template <class Team> __global__ void __launch_bounds__(Team::size* Team::teams, Team::blocks)
    add_row_parts(GradientRows rows, bool first) {
  const uint32_t slot = blockIdx.x * Team::teams + Team::team();
  if (slot >= rows.schedule.counts->slots) return;
  const auto [position, part] = rows.schedule.parts[slot];
  const GradientRow row(rows, rows.schedule.order[position]);
  if (!first && *row.squares == 0) return;
  float* to = rows.slots + slot * rows.factors();
  for (int64_t c = Team::rank(); c < rows.factors(); c += Team::size) to[c] = 0;
  Team::sync();
  const int64_t length = als_part_length(row.row.ratings), begin = part * length;
  make_team<Team>(rows).add(gather_task(rows, row, first), begin, min(begin + length, row.row.ratings), to);
}

// product = A v - (sum b y, if first). On entry, product is G v.
template <class Team>
__device__ void complete(const GradientRows& rows, const GradientRow& row, uint32_t position, bool first) {
  const int64_t f = rows.factors(), n = row.row.ratings, length = als_part_length(n);
  const GatherTask task = gather_task(rows, row, first);
  for (int64_t c = Team::rank(); c < f; c += Team::size) {
    row.product[c] = rows.task.params.unobserved_weight * row.product[c] + row.row.lambda * task.v[c];
  }
  Team::sync();
  const Team team = make_team<Team>(rows);
  const int slot = position < rows.schedule.counts->shared_rows ? rows.schedule.first_slot[position] : -1;
  for (int64_t part = 0; part * length < n; part++) {
    if (slot < 0) {
      team.add(task, part * length, min((part + 1) * length, n), row.product);
    } else {
      const float* sums = rows.slots + (slot + part) * f;
      for (int64_t c = Team::rank(); c < f; c += Team::size) row.product[c] += sums[c];
    }
  }
  Team::sync();
}

// Sum of value(c) over the factors, in all threads of the team.
template <class Team, class Value> __device__ float total(int64_t factors, Value value) {
  float sum = 0;
  for (int64_t c = Team::rank(); c < factors; c += Team::size) sum += value(c);
  return Team::sum(sum);
}

// Starts along direction = -gradient.
template <class Team> __device__ void start(int64_t f, const GradientRow& row) {
  const float squares = total<Team>(f, [&](int64_t c) {
    const float g = row.product[c];
    row.gradient[c] = g;
    row.direction[c] = -g;
    return g * g;
  });
  if (Team::rank() == 0) *row.squares = squares;
}

// One step, where product = A direction.
template <class Team> __device__ void step(int64_t f, const GradientRow& row) {
  const float squares = *row.squares;
  const float curvature = total<Team>(f, [&](int64_t c) { return row.direction[c] * row.product[c]; });
  if (curvature <= 0) {  // solved
    if (Team::rank() == 0) *row.squares = 0;
    return;
  }
  const float length = squares / curvature;
  const float next = total<Team>(f, [&](int64_t c) {
    row.x[c] = fmaf(length, row.direction[c], row.x[c]);
    const float g = fmaf(length, row.product[c], row.gradient[c]);
    row.gradient[c] = g;
    return g * g;
  });
  const float kept = next / squares;
  for (int64_t c = Team::rank(); c < f; c += Team::size) {
    row.direction[c] = fmaf(kept, row.direction[c], -row.gradient[c]);
  }
  if (Team::rank() == 0) *row.squares = next;
}

template <class Team> __device__ void advance_row(const GradientRows& rows, uint32_t position, bool first) {
  const GradientRow row(rows, rows.schedule.order[position]);
  const int64_t f = rows.factors();
  if (row.row.ratings == 0) {
    for (int64_t c = Team::rank(); c < f; c += Team::size) row.x[c] = row.direction[c] = 0;
    if (Team::rank() == 0) *row.squares = 0;
    return;
  }
  if (!first && *row.squares == 0) return;
  complete<Team>(rows, row, position, first);
  if (first) {
    start<Team>(f, row);
  } else {
    step<Team>(f, row);
  }
}

template <class Team> __global__ void __launch_bounds__(Team::size* Team::teams, Team::blocks)
    advance_rows(GradientRows rows, bool first) {
  for (uint32_t position = blockIdx.x * Team::teams + Team::team(); position < rows.schedule.rows;
       position += gridDim.x * Team::teams) {
    advance_row<Team>(rows, position, first);
  }
}

struct GradientPlan {
  int64_t rows, slots, blocks_with_memory;
};

size_t divide(const GradientPlan& plan, char* memory, GradientRows& rows) {
  Arrays arrays(memory);
  const int64_t f = rows.factors(), floats = plan.rows * f;
  place_schedule(arrays, plan.rows, plan.slots, rows.schedule);
  for (float** vectors : {&rows.product, &rows.gradient, &rows.direction}) arrays.place(*vectors, floats);
  arrays.place(rows.squares, plan.rows);
  arrays.place(rows.slots, plan.slots * f);
  arrays.place(rows.own, plan.blocks_with_memory * rows.padded_factors());
  return arrays.bytes();
}

template <class Team> void advance(Context& context, const GradientRows& rows) {
  const cudaStream_t stream = gpu(context).stream();
  constexpr int threads = Team::size * Team::teams;
  const auto blocks = [](uint32_t teams) {
    const uint32_t blocks = (teams + Team::teams - 1) / Team::teams;
    return Team::has_memory ? std::min<uint32_t>(blocks, most_blocks_with_memory) : blocks;
  };
  const float* x = rows.task.solved.data + rows.schedule.first_row * rows.factors();
  for (int64_t step = 0; step <= rows.task.params.cg_steps; step++) {
    const bool first = step == 0;
    multiply_gpu(context, rows.task, first ? x : rows.direction, rows.schedule.rows, 0, rows.factors(), rows.product);
    add_row_parts<Team><<<blocks(rows.schedule.slots), threads, 0, stream>>>(rows, first);
    check_launch("implicit_update");
    advance_rows<Team><<<blocks(rows.schedule.rows), threads, 0, stream>>>(rows, first);
    check_launch("implicit_update");
  }
}

using Advance = void (*)(Context&, const GradientRows&);

Advance advance_for(int64_t factors) {
  if (factors <= 32) return advance<WarpTeam<8, 1>>;
  if (factors <= 64) return advance<WarpTeam<8, 2>>;
  if (factors <= 128) return advance<WarpTeam<16, 2>>;
  if (factors <= 256) return advance<WarpTeam<32, 2>>;
  if (factors <= 512) return advance<WarpTeam<32, 4>>;
  if (factors <= most_factors_of_warps) return advance<WarpTeam<32, 8>>;
  return advance<BlockTeam>;
}

}  // namespace

void update_by_gradients_gpu(Context& context, const ImplicitTask& task) {
  const int64_t f = task.fixed.columns, all = task.entries.rows;
  const GradientPlan plan = {.rows = implicit_rows_per_pass(all, 3 * f),
                             .slots = most_slots,
                             .blocks_with_memory = f > most_factors_of_warps ? most_blocks_with_memory : 0};
  GradientRows rows = {};
  rows.task = task;
  rows.aligned = aligned_rows(task.fixed.data, f) && aligned_rows(task.solved.data, f);
  divide(plan, static_cast<char*>(context.scratch(divide(plan, nullptr, rows))), rows);
  const Advance advance_rows = advance_for(f);
  AlsSchedule& schedule = rows.schedule;
  for (schedule.first_row = 0; schedule.first_row < all; schedule.first_row += plan.rows) {
    schedule.rows = static_cast<uint32_t>(std::min(plan.rows, all - schedule.first_row));
    order_rows(rows, schedule, gpu(context).stream(), "implicit_update");
    advance_rows(context, rows);
  }
}

}  // namespace sartor::cuda
