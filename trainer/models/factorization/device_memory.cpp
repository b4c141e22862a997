#include "models/factorization/device_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "base/require.h"
#include "core/cpu_backend.h"
#include "models/factorization/rating_blocks.h"
#include "schema/log.h"

namespace sartor {
namespace {

void require_enough(int64_t available, int64_t least, const TrainingNeeds& needs, bool limited) {
  if (available >= least) return;
  const auto shortage = fmt::format(
      "training needs at least {} bytes of device memory ({} of factors, {} of scratch, {} of ratings in the smallest "
      "blocks)",
      least, needs.factors, needs.scratch, least - needs.factors - needs.scratch);
  require(!limited, "max_device_memory is {}, {}", available, shortage);
  throw std::runtime_error(fmt::format("{} bytes of device memory are free, {}", available, shortage));
}

void log_plan(const TrainingNeeds& needs, int64_t whole, int64_t available, bool streams) {
  const auto more = streams ? fmt::format(", which arrive in blocks of rows: {} of {} are left for them",
                                          in_mib(available - needs.factors - needs.scratch), in_mib(available))
                            : "";
  log_info("device memory: {} of factors, {} of scratch, {} of ratings{}", in_mib(needs.factors), in_mib(needs.scratch),
           in_mib(whole), more);
}

}  // namespace

int64_t memory_to_take(cuda::Context& context, std::optional<int64_t> limit) {
  if (limit) return *limit;
  if (!context.is_gpu()) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(context.backend().free_bytes() / 16 * 15);
}

std::string in_mib(int64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

RatingMemory plan_memory(cuda::Context& context, std::optional<int64_t> limit, const TrainingNeeds& needs) {
  const int64_t users = RatingBlocks::whole_bytes(needs.user_offsets);
  const int64_t items = RatingBlocks::whole_bytes(needs.item_offsets);
  const int64_t least_users = RatingBlocks::least_bytes(needs.user_offsets);
  const int64_t least_items = RatingBlocks::least_bytes(needs.item_offsets);
  const int64_t taken = needs.factors + needs.scratch, available = memory_to_take(context, limit);
  require_enough(available, taken + least_users + least_items, needs, limit.has_value());
  const int64_t left = available - taken;
  const bool streams = users + items > left;
  log_plan(needs, users + items, available, streams);
  if (!streams) return {users, items};
  // Each side gets half, unless the smallest blocks of the other one need more.
  const int64_t of_users = std::clamp(left / 2, least_users, left - least_items);
  return {of_users, left - of_users};
}

int64_t als_scratch_bytes(cuda::Context& context, int64_t factors) {
  if (context.is_gpu()) return factors <= 256 ? 1 << 29 : int64_t{1400} << 20;
  return cuda::cpu(context).threads * 4 * factors * (factors / 2 + 140);
}

}  // namespace sartor
