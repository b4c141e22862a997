#include "sparse/row_similarity.cuh"

#include <algorithm>
#include <cmath>

#include "core/gpu/team.cuh"
#include "similarity/selection/radix_select.cuh"
#include "similarity/selection/sort_keys.cuh"
#include "sparse/row_entries.cuh"
#include "sparse/row_similarity_equations.h"

namespace sartor::cuda {
namespace {

constexpr int threads = 128, lanes = 32;
constexpr int blocks_per_multiprocessor = 8;  // with fewer registers for more blocks, sums would be spilled

// The sums of a pair of rows, per kind: see RowSums.
struct Products {
  float xy;
  __device__ void add(float x, float y) { xy = fmaf(x, y, xy); }
  __device__ float similarity(const RowSimilarityTask&, double) const { return xy; }
};
struct alignas(8) Counted {
  float xy, n;
  __device__ void add(float x, float y) {
    xy = fmaf(x, y, xy);
    n += 1;
  }
  __device__ float similarity(const RowSimilarityTask& task, double sizes) const {
    return n > 0 ? pair_similarity(task.params, {xy, 0, 0, 0, 0, n}, sizes) : 0;
  }
};
struct alignas(16) All {
  PairSums sums;
  __device__ void add(double x, double y) {
    sums.xy += x * y;
    sums.x += x;
    sums.y += y;
    sums.xx += x * x;
    sums.yy += y * y;
    sums.n += 1;
  }
  __device__ float similarity(const RowSimilarityTask& task, double sizes) const {
    return sums.n > 0 ? pair_similarity(task.params, sums, sizes) : 0;
  }
};

// Writes the scores of queries first, ..., first + count - 1 for all rows: scores (count, stride), -inf for rows that
// must not be found. A team computes a query at a time in its own sums (teams, rows), which are 0 before and after:
// entries of a column belong to different rows, and columns are added in order, so that results do not depend on the
// number of threads. Grid: any number of blocks.
template <class Sums, int size> __global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    similarity_kernel(const RowSimilarityTask task, int64_t first, int64_t count, Sums* all_sums, float* scores,
                      int64_t stride) {
  using Team = TeamOf<size, threads>;
  Sums* sums = all_sums + Team::index() * task.rows;
  for (int64_t at = Team::index(); at < count; at += Team::count()) {
    const int64_t query = first + at, begin = task.queries.offsets[query], end = task.queries.offsets[query + 1];
    for (int64_t some = begin; some < end; some += lanes) {
      const RowEntry own = load_entry(task.queries, task.columns, some + threadIdx.x % lanes, end);
      for (int i = 0; i < min(int64_t{lanes}, end - some); i++) {
        const RowEntry entry = entry_of_lane(own, i);
        for (int64_t other = entry.first + Team::rank(); other < entry.last; other += size)
          sums[task.columns.columns[other]].add(entry.value, task.columns.values[other]);
        Team::sync();
      }
    }
    const int64_t self = task.first < 0 ? -1 : task.first + query;
    for (int64_t row = Team::rank(); row < task.rows; row += size) {
      const auto sizes = task.sizes ? static_cast<double>(end - begin + task.sizes[row]) : 0;
      const float similarity = row == self ? 0 : sums[row].similarity(task, sizes);
      sums[row] = {};
      const bool found = similarity > 0 || (similarity < 0 && task.params.keep_negative);
      scores[at * stride + row] = found ? similarity : -INFINITY;
    }
    Team::sync();
  }
}

// Queries whose scores are in memory at a time, and teams that compute them; both as many as limited memory allows.
struct Plan {
  int team_size;
  int64_t queries, blocks;
  SelectPlan select;
  int64_t sums_bytes, scores_bytes;

  // list_length: mean number of entries of a column. A warp keeps its lanes busy with short lists, where the threads of
  // a block would mostly wait for each other.
  Plan(const RowSimilarityTask& task, int64_t size, double list_length, const GpuLimits& limits) {
    constexpr int64_t most_scores = int64_t{1} << 26, most_sums_bytes = int64_t{1} << 29;
    const int64_t bytes = size * task.rows;
    team_size = list_length < threads / 2 && bytes * (threads / lanes) <= most_sums_bytes ? lanes : threads;
    const int64_t teams_per_block = threads / team_size;
    queries = std::clamp<int64_t>(most_scores / score_stride(task.rows), 1, task.queries.rows);
    blocks = std::clamp<int64_t>(most_sums_bytes / (bytes * teams_per_block), 1,
                                 std::min((queries + teams_per_block - 1) / teams_per_block,
                                          int64_t{limits.multiprocessors} * blocks_per_multiprocessor));
    select = select_plan(queries, task.rows, task.params.k, limits);
    sums_bytes = (blocks * teams_per_block * bytes + 15) / 16 * 16;
    scores_bytes = queries * score_stride(task.rows) * static_cast<int64_t>(sizeof(float));
  }
};

double mean_list_length(GpuBackend& backend, const Csr<const float>& columns) {
  int64_t entries = 0;
  if (columns.rows > 0) backend.copy_out(&entries, columns.offsets + columns.rows, sizeof entries);
  return static_cast<double>(entries) / static_cast<double>(std::max<int64_t>(columns.rows, 1));
}

template <class Sums> void search(Context& context, const RowSimilarityTask& task) {
  GpuBackend& backend = gpu(context);
  const Plan plan(task, sizeof(Sums), mean_list_length(backend, task.columns), backend.limits());
  auto* memory = static_cast<char*>(context.scratch(plan.sums_bytes + plan.scores_bytes + plan.select.workspace_bytes));
  auto* sums = reinterpret_cast<Sums*>(memory);
  auto* scores = reinterpret_cast<float*>(memory + plan.sums_bytes);
  char* state = memory + plan.sums_bytes + plan.scores_bytes;
  auto* best = reinterpret_cast<TopkKey*>(state + plan.select.state_bytes);
  const int64_t stride = score_stride(task.rows), k = task.params.k;
  const auto kernel = plan.team_size == lanes ? similarity_kernel<Sums, lanes> : similarity_kernel<Sums, threads>;
  check(cudaMemsetAsync(sums, 0, plan.sums_bytes, backend.stream()), "row_similarity: sums");
  for (int64_t first = 0; first < task.queries.rows; first += plan.queries) {
    const int64_t count = std::min(plan.queries, task.queries.rows - first);
    kernel<<<static_cast<unsigned>(plan.blocks), threads, 0, backend.stream()>>>(task, first, count, sums, scores,
                                                                                 stride);
    check_launch("row_similarity");
    TopkSearch best_of;
    best_of.k = k;
    select_best(backend, best_of, {.scores = scores, .stride = stride, .rows = count, .columns = task.rows},
                plan.select, state, nullptr, best);
    sort_keys(backend, best, best + count * k, {count, k, task.found.scores + first * k, task.found.ids + first * k});
  }
}

}  // namespace

void row_similarity_gpu(Context& context, const RowSimilarityTask& task) {
  switch (sums_of(task.params)) {
    case RowSums::products:
      return search<Products>(context, task);
    case RowSums::counted:
      return search<Counted>(context, task);
    default:
      return search<All>(context, task);
  }
}

}  // namespace sartor::cuda
