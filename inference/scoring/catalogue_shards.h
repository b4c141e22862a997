// Whether several processes divide the queries of a task or the catalogue that it searches.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/context.h"
#include "models/factorization/device_memory.h"
#include "runtime/collective.h"

namespace sartor::inference {

enum class Sharding { automatic, queries, catalogue };
constexpr auto choices(Sharding) {
  return std::to_array<Choice<Sharding>>(
      {{"auto", Sharding::automatic}, {"queries", Sharding::queries}, {"catalogue", Sharding::catalogue}});
}

// Base of the configs of tasks that search a catalogue of items or vectors.
struct ShardingConfig : DeviceMemoryConfig {
  Sharding sharding = Sharding::automatic;

  template <class Fields> void describe(Fields& field) {
    DeviceMemoryConfig::describe(field);
    field("sharding", sharding,
          "What several processes divide: the queries, so that the device of each holds the whole catalogue, or the "
          "catalogue, so that each holds a part of it and searches it for all queries. The results are the same. auto: "
          "the catalogue if it does not fit into max_device_memory, otherwise the queries.");
  }
};

// Part number `part` of `parts` contiguous parts of a catalogue.
struct CatalogueShard {
  int part = 0, parts = 1;

  int64_t begin(int64_t rows) const { return rows * part / parts; }
  int64_t end(int64_t rows) const { return rows * (part + 1) / parts; }
};

// The part of this rank, or all of it. bytes: what the device needs for the whole catalogue of `rows` rows. All ranks
// must call it. Throws std::invalid_argument on all of them if a part does not fit.
CatalogueShard choose_shard(const ShardingConfig& config, cuda::Context& context, Collective& ranks, int64_t bytes,
                            int64_t rows, std::string_view of);

}  // namespace sartor::inference
