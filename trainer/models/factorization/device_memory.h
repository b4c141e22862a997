// Device memory of trainings and scorers, estimated before it is taken.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/context.h"
#include "schema/fields.h"

namespace sartor {

// Base of the configs of tasks that keep a model or data on the device.
struct DeviceMemoryConfig {
  std::optional<int64_t> max_device_memory;

  template <class Fields> void describe(Fields& field) {
    field("max_device_memory", max_device_memory, at_least(1),
          "Bytes of device memory that the task may take. Default: most of the memory that is free on a GPU; on the "
          "CPU, any amount.");
  }
};

// Bytes of device memory that a task may take: `limit` or, if it is not given, most of what is free on a GPU, and any
// amount on the CPU.
int64_t memory_to_take(cuda::Context& context, std::optional<int64_t> limit);

std::string in_mib(int64_t bytes);  // "1.5 MiB"

// What a training on one device keeps there, in bytes.
struct TrainingNeeds {
  int64_t factors;                                      // and biases, of all users and items
  int64_t scratch;                                      // of operations, and of evaluations between epochs
  std::span<const int64_t> user_offsets, item_offsets;  // ratings of the device's share, as in cuda::Csr
};

struct RatingMemory {
  int64_t users, items;  // bytes for the ratings of each side, for RatingBlocks
};

// Divides what factors and scratch leave of memory_to_take() between the ratings of both sides, and logs the estimate.
// Throws std::invalid_argument if the limit does not suffice for the smallest blocks of ratings, and std::runtime_error
// if the free memory does not.
RatingMemory plan_memory(cuda::Context& context, std::optional<int64_t> limit, const TrainingNeeds& needs);

// Scratch memory of als_update (factorization/als.h), with the factors that it solves.
int64_t als_scratch_bytes(cuda::Context& context, int64_t factors);

}  // namespace sartor
