#include "scoring/catalogue_shards.h"

#include "base/require.h"
#include "schema/log.h"

namespace sartor::inference {

CatalogueShard choose_shard(const ShardingConfig& config, cuda::Context& context, Collective& ranks, int64_t bytes,
                            int64_t rows, std::string_view of) {
  const int64_t available = memory_to_take(context, config.max_device_memory);
  const auto any_lacks = [&](int64_t needed) { return ranks.sum({needed > available ? 1. : 0.})[0] > 0; };
  const bool sharded = ranks.size() > 1 && (config.sharding == Sharding::catalogue ||
                                            (config.sharding == Sharding::automatic && any_lacks(bytes)));
  const int parts = sharded ? ranks.size() : 1;
  const int64_t share = bytes / parts + (bytes % parts > 0);
  const bool matters = context.is_gpu() || ranks.size() > 1 || config.max_device_memory;
  if (matters && bytes > 0) {
    log_info("device memory: {} for {} {}{}", in_mib(share), rows / parts + (rows % parts > 0), of,
             parts > 1 ? fmt::format(" of {} in each process", rows) : "");
  }
  require(!any_lacks(share),
          "{} {} need {} bytes of device memory in each of {} processes, but it has {}: start more processes with "
          "sharding: catalogue{}",
          rows, of, share, parts, available, config.max_device_memory ? " or raise max_device_memory" : "");
  return sharded ? CatalogueShard{ranks.rank(), parts} : CatalogueShard{};
}

}  // namespace sartor::inference
