#include "similarity/topk_cpu.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <span>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "similarity/screening/carver.h"
#include "similarity/screening/screen.h"
#include "similarity/topk_kernels.h"

namespace sartor::cuda {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(), none = -infinity;

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The work is divided into tasks, each a group of queries times a range of items. Splitting only by queries needs no
// merging and is preferred if there are enough queries per group to amortize packing all items.
struct Plan {
  int64_t groups, group_tiles;   // number of groups, and tiles of TopkKernels::tile_queries queries per group
  int64_t ranges, range_panels;  // number of ranges, and panels of TopkKernels::panel_items items per range
  int64_t capacity;              // candidates per query: the number that triggers a selection plus a panel
  bool screened = false;         // whether candidates are found by bounds of their scores
};

Plan make_plan(const TopkKernels& kernels, int64_t queries, int64_t items, int64_t k, int threads) {
  constexpr int64_t paying_queries = 128, paying_items = 4096, most_queries = 1024, most_bytes = 32 << 20;
  const int64_t capacity = std::min(k + std::max<int64_t>(k, 32), items) + kernels.panel_items;
  const int64_t tiles = ceil_divide(queries, kernels.tile_queries), panels = ceil_divide(items, kernels.panel_items);
  const int64_t group_queries = std::min<int64_t>(most_queries, most_bytes / (capacity * sizeof(TopkKey)));
  const int64_t most_tiles = std::max<int64_t>(group_queries / kernels.tile_queries, 1);
  const int64_t most_ranges = std::max<int64_t>(items / std::max(4 * k, paying_items), 1);

  int64_t groups = std::clamp<int64_t>(queries / paying_queries, 1, threads);
  const int64_t ranges = std::min(threads / groups, most_ranges);
  if (ranges == 1) groups = threads;
  groups = std::min(ceil_divide(ceil_divide(tiles, most_tiles), groups) * groups, tiles);
  const int64_t group_tiles = ceil_divide(tiles, groups), range_panels = ceil_divide(panels, ranges);
  return {ceil_divide(tiles, group_tiles), group_tiles, ceil_divide(panels, range_panels), range_panels, capacity};
}

// Scratch memory of one thread.
struct Workspace {
  float* panel;         // (d + 2, panel_items)
  float* tiles;         // (group_tiles, d, tile_queries)
  TopkKey* candidates;  // (group queries, capacity)
  int32_t* counts;      // (group queries) number of candidates
  int32_t* kept;        // (group queries) number of candidates kept by the last selection, which come first
  float* thresholds;    // (group queries) k-th best score at the last selection
  Screen screen;

  TopkCandidates found(int64_t q, int64_t capacity) const {  // for queries from q on
    return {thresholds + q, candidates + q * capacity, capacity, counts + q};
  }
};

Workspace carve_workspace(Carver& carver, const TopkKernels& kernels, const Plan& plan, int64_t d) {
  const int64_t queries = plan.group_tiles * kernels.tile_queries;
  return {.panel = carver.take<float>((d + 2) * kernels.panel_items),
          .tiles = carver.take<float>(queries * d),
          .candidates = carver.take<TopkKey>(queries * plan.capacity),
          .counts = carver.take<int32_t>(queries),
          .kept = carver.take<int32_t>(queries),
          .thresholds = carver.take<float>(queries),
          .screen = plan.screened ? Screen(carver, kernels, queries, d) : Screen()};
}

// A search with its kernels and plan.
struct Search {
  const TopkTask& task;
  const float *queries, *items;  // (Q, d), (N, d), prepared
  const TopkKernels& kernels;
  const Plan& plan;

  int64_t k() const { return task.params.k; }
  int64_t d() const { return task.queries.columns; }
  bool cosine() const { return task.params.similarity != Similarity::dot; }

  // `count` items from `first` on, as the kernels' argument.
  TopkItemRange range(int64_t first, int64_t count) const {
    return {.rows = items + first * d(),
            .count = count,
            .d = d(),
            .bias = task.item_bias ? task.item_bias + first : nullptr,
            .cosine = cosine(),
            .first = static_cast<int32_t>(first),
            .allowed = task.allowed,
            .denied = task.denied};
  }
};

// Removes excluded items from the candidates added since the last selection. Both lists ascend by id.
TopkKey* drop_excluded(TopkKey* begin, TopkKey* end, std::span<const int32_t> excluded) {
  if (begin == end || excluded.empty()) return end;
  auto next = std::lower_bound(excluded.begin(), excluded.end(), topk_id(*begin));
  return std::remove_if(begin, end, [&](TopkKey key) {
    while (next != excluded.end() && *next < topk_id(key)) ++next;
    return next != excluded.end() && *next == topk_id(key);
  });
}

// Keeps the k best candidates of query `q` of the group, which is query `query` of the task.
void select(const Search& search, Workspace& work, int64_t q, int64_t query) {
  const IdLists& lists = search.task.excluded;
  std::span<const int32_t> excluded;
  if (lists.rows > 0) excluded = {lists.ids + lists.offsets[query], lists.ids + lists.offsets[query + 1]};
  TopkKey* keys = work.candidates + q * search.plan.capacity;
  TopkKey *added = keys + work.kept[q], *end = drop_excluded(added, keys + work.counts[q], excluded);
  if (work.screen.started()) {
    end = work.screen.settle(q, search.range(0, search.task.prepared->count()), work.thresholds[q], added, end);
  }
  if (end - keys > search.k()) {
    std::nth_element(keys, keys + search.k() - 1, end, std::greater());
    end = keys + search.k();
    work.thresholds[q] = topk_score(end[-1]);
  }
  work.counts[q] = work.kept[q] = static_cast<int32_t>(end - keys);
}

// Finds the candidates of a group of queries among a range of items: at most k keys for each query, unsorted.
void find_candidates(const Search& search, int64_t first_query, int64_t queries, int64_t first_item, int64_t end_item,
                     Workspace& work) {
  const auto& [task, rows, item_rows, kernels, plan] = search;
  const int64_t d = search.d(), capacity = plan.capacity, limit = capacity - kernels.panel_items;
  const int64_t tile = kernels.tile_queries, step = queries == 1 ? kernels.block_items : kernels.panel_items;
  std::fill_n(work.counts, queries, 0);
  std::fill_n(work.kept, queries, 0);
  std::fill_n(work.thresholds, queries, none);
  for (int64_t q = 0; q < queries; q += tile) {
    kernels.pack_queries(rows + (first_query + q) * d, std::min(tile, queries - q), d, search.cosine(),
                         work.tiles + q * d);
  }
  const auto select_all = [&] {
    for (int64_t q = 0; q < queries; q++) select(search, work, q, first_query + q);
  };
  const int64_t screened_from = plan.screened ? first_item + Screen::exact_items(search.k()) : end_item;
  for (int64_t item = first_item; item < end_item; item += step) {
    const TopkItemRange items = search.range(item, std::min(step, end_item - item));
    if (queries == 1) {
      if (kernels.scan(work.tiles, items, work.found(0, capacity)) && work.counts[0] > limit) {
        select(search, work, 0, first_query);
      }
      continue;
    }
    kernels.pack_items(items, work.panel);
    const bool screens = item >= screened_from;
    if (screens && !work.screen.started()) {
      select_all();
      work.screen.start(work.tiles, queries);
    }
    const bool screened = screens && work.screen.pack_items(work.panel);
    for (int64_t q = 0; q < queries; q += tile) {
      const int64_t end = std::min(q + tile, queries);
      const TopkCandidates found = work.found(q, capacity);
      const bool any = screened ? work.screen.score(q, end - q, items.first, found)
                                : kernels.score(work.tiles + q * d, end - q, work.panel, d, items.first, found);
      if (!any) continue;
      for (int64_t r = q; r < end; r++) {
        if (work.counts[r] > limit) select(search, work, r, first_query + r);
      }
    }
  }
  select_all();
}

// Writes the k best keys, best first; keys of 0 are empty slots.
void write_best(std::span<TopkKey> keys, int64_t query, TopK found) {
  const auto best = keys.first(std::min<size_t>(found.k, keys.size()));
  if (best.size() < keys.size()) std::nth_element(keys.begin(), keys.begin() + found.k - 1, keys.end(), std::greater());
  std::sort(best.begin(), best.end(), std::greater());
  float* scores = found.scores + query * found.k;
  int32_t* ids = found.ids + query * found.k;
  for (int64_t i = 0; i < found.k; i++) {
    const TopkKey key = i < std::ssize(best) ? best[i] : 0;
    scores[i] = key ? topk_score(key) : none;
    ids[i] = key ? topk_id(key) : -1;
  }
}

// Rounds to a number that bf16 can represent, ties to even.
float to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return x != x ? x : std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

// Rounds to a number that fp16 can represent, ties to even. Below 2^-14 these are multiples of 2^-24, the distance of
// fp32 numbers between 0.5 and 1.
float to_fp16(float x) {
  const float size = std::abs(x);
  const auto bits = std::bit_cast<uint32_t>(size);
  const float rounded = size < 0x1p-14f ? size + 0.5f - 0.5f
                        : size < 65520  ? std::bit_cast<float>((bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000)
                                        : size + infinity;
  return std::copysign(rounded, x);
}

void centre(std::span<float> row) {
  double sum = 0;
  for (const float x : row) sum += x;
  const double mean = sum / static_cast<double>(row.size());
  for (float& x : row) x = static_cast<float>(x - mean);
}

// Rounds row / scale by `round`, then multiplies it by the scale for dot.
template <class Round> void round_row(std::span<float> row, bool cosine, Round round) {
  uint32_t largest = 0;
  for (const float x : row) largest = std::max(largest, std::bit_cast<uint32_t>(std::abs(x)));
  const float scale = topk_row_scale(largest), factor = cosine ? 1 : scale;
  for (float& x : row) x = round(x / scale) * factor;
}

}  // namespace

void prepare_topk_rows_cpu(Context& context, const TopkRowsTask& task) {
  const auto& [rows, similarity, precision, copy, scale] = task;
  const int64_t d = rows.columns;
  parallel_for(cpu(context).threads, rows.rows, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const std::span row(static_cast<float*>(copy) + r * d, d);
      std::copy_n(rows.row(r), d, row.begin());
      if (similarity == Similarity::centred_cosine) centre(row);
      const bool cosine = similarity != Similarity::dot;
      if (precision == TopkPrecision::fp16) round_row(row, cosine, to_fp16);
      if (precision == TopkPrecision::bf16) round_row(row, cosine, to_bf16);
    }
  });
}

void topk_cpu(Context& context, const TopkTask& task) {
  const auto& [queries, items, prepared, item_bias, excluded, allowed, denied, params, found] = task;
  const int64_t d = queries.columns;
  const auto& backend = cpu(context);
  const TopkKernels& kernels = best_of(backend.isa, v3::topk_kernels, v4::topk_kernels);
  Plan plan = make_plan(kernels, queries.rows, prepared->count(), params.k, backend.threads);
  const int64_t group = std::min(plan.group_tiles * kernels.tile_queries, queries.rows);
  plan.screened = Screen::pays(backend.isa, group, plan.range_panels * kernels.panel_items, d, params.k);

  Carver measure(nullptr);
  carve_workspace(measure, kernels, plan, d);
  const size_t thread_bytes = measure.bytes();
  const int64_t copy_bytes =
      topk_rows_layout(/*gpu=*/false, params.similarity, params.precision, d).bytes(queries.rows);
  const int64_t merged = plan.ranges > 1 ? queries.rows * plan.ranges * params.k : 0;  // k keys per query and range
  const int64_t tasks = plan.groups * plan.ranges, threads = std::min<int64_t>(backend.threads, tasks);
  auto* scratch = static_cast<char*>(context.scratch(threads * thread_bytes + merged * sizeof(TopkKey) + copy_bytes));
  auto* range_best = reinterpret_cast<TopkKey*>(scratch + threads * thread_bytes);
  void* copy = copy_bytes > 0 ? range_best + merged : nullptr;
  prepare_topk_rows(context, {queries, params.similarity, params.precision, copy});
  const Search search = {task, copy ? static_cast<float*>(copy) : queries.data,
                         static_cast<const float*>(prepared->rows()), kernels, plan};

  parallel_for(backend.threads, tasks, 1, [&](int64_t index, int64_t, int thread) {
    Carver carver(scratch + thread * thread_bytes);
    Workspace work = carve_workspace(carver, kernels, plan, d);
    const int64_t range = index % plan.ranges;
    const int64_t first_query = index / plan.ranges * plan.group_tiles * kernels.tile_queries;
    const int64_t first_item = range * plan.range_panels * kernels.panel_items;
    const int64_t count = std::min(plan.group_tiles * kernels.tile_queries, queries.rows - first_query);
    const int64_t end_item = std::min(first_item + plan.range_panels * kernels.panel_items, prepared->count());
    find_candidates(search, first_query, count, first_item, end_item, work);
    for (int64_t q = 0; q < count; q++) {
      const std::span keys(work.candidates + q * plan.capacity, work.counts[q]);
      if (plan.ranges == 1) {
        write_best(keys, first_query + q, found);
      } else {
        TopkKey* slot = range_best + ((first_query + q) * plan.ranges + range) * params.k;
        std::fill(std::copy(keys.begin(), keys.end(), slot), slot + params.k, 0);
      }
    }
  });
  if (plan.ranges == 1) return;
  parallel_for(backend.threads, queries.rows, 16, [&](int64_t begin, int64_t end, int) {
    const int64_t size = plan.ranges * params.k;
    for (int64_t q = begin; q < end; q++) write_best({range_best + q * size, static_cast<size_t>(size)}, q, found);
  });
}

}  // namespace sartor::cuda
