#include "similarity/topk.h"

#include <limits>
#include <optional>

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {
namespace {

void require_fewer_than_2_31(int64_t items) {
  require(items <= std::numeric_limits<int32_t>::max(), "topk: {} items, expected fewer than 2^31", items);
}

void check(const TopkTask& task, int64_t items, int64_t columns) {
  const Rows<const float>& queries = task.queries;
  const TopkParams& params = task.params;
  const TopK& found = task.found;
  require(queries.columns == columns, "topk: queries have {} columns, items {}", queries.columns, columns);
  require_fewer_than_2_31(items);
  require(1 <= params.k && params.k <= items, "topk: k is {}, there are {} items", params.k, items);
  require(found.rows == queries.rows && found.k == params.k, "topk: found has {} x {} elements, expected {} x {}",
          found.rows, found.k, queries.rows, params.k);
  require(task.excluded.rows == 0 || task.excluded.rows == queries.rows, "topk: {} rows of excluded ids for {} queries",
          task.excluded.rows, queries.rows);
  require(!task.item_bias || params.similarity == Similarity::dot,
          "topk: item_bias requires similarity dot, found cosine");
  require(params.workspace_bytes >= 0, "topk: workspace_bytes is {}", params.workspace_bytes);
  require(!task.prepared ||
              (task.prepared->similarity() == params.similarity && task.prepared->precision() == params.precision),
          "topk: the items are prepared for another similarity or precision");
}

}  // namespace

void prepare_topk_rows(Context& context, const TopkRowsTask& task) {
  if (task.rows.rows == 0 || (!task.copy && !task.scale)) return;
  const ProfilerRange range("prepare_topk_rows");
  context.operations().prepare_topk_rows(context, task);
}

TopkItems::TopkItems(Context& context, Rows<const float> rows, Similarity similarity, TopkPrecision precision)
    : given_(rows),
      similarity_(similarity),
      precision_(precision),
      layout_(topk_rows_layout(context.is_gpu(), similarity, precision, rows.columns)) {
  require_fewer_than_2_31(rows.rows);
  copy_ = {context, layout_.bytes(rows.rows)};
  if (layout_.scaled) scale_ = {context, rows.rows};
  prepare_topk_rows(context, {rows, similarity, precision, copy_.data(), scale_.data()});
}

void topk(Context& context, const TopkTask& task) {
  const TopkItems* prepared = task.prepared;
  check(task, prepared ? prepared->count() : task.items.rows, prepared ? prepared->columns() : task.items.columns);
  if (task.queries.rows == 0) return;
  const ProfilerRange range("topk");
  std::optional<TopkItems> temporary;
  TopkTask ready = task;
  if (!prepared) {
    ready.prepared = &temporary.emplace(context, task.items, task.params.similarity, task.params.precision);
  }
  context.operations().topk(context, ready);
}

}  // namespace sartor::cuda
