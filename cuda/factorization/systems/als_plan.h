// How the normal equations of rows are solved on a GPU: functions of shapes and of the GPU's limits alone.
//
// A row's system of n equations is solved by a block of one of three shapes, for up to 64, up to 128 and any number of
// unknowns. Rows are sorted by length; ratings of a long row are divided into parts of a fixed length, which different
// blocks may compute. Boundaries of parts and the order in which they are added depend on the row's length alone, so
// that a row's solution depends neither on the GPU nor on other rows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/gpu/limits.h"

namespace sartor::cuda {

template <int panels> struct AlsShapeSizes {
  static constexpr int threads = panels == 4 ? 256 : 128;
  static constexpr int unknowns = 64 * panels;                        // of a triangle that fits in registers
  static constexpr int columns = panels == 4 ? 256 + 128 : unknowns;  // unknowns in a stage
  static constexpr int depth = panels == 1 ? 32 : 16;                 // terms per stage, and per barrier
  static constexpr int stages = panels == 4 ? 3 : 4;
  static constexpr int id_stages = 8;  // of which ids are kept
  static constexpr int stage_floats = std::max(depth * (columns + 8), columns*(depth + 4));
  static constexpr int shared_bytes =
      4 * stages * stage_floats + 4096 + 12 * threads + (panels == 4 ? 0 : 12 * unknowns);
  // Dual systems of the smallest shape keep the rows of Y in the stages, apart from the triangle, if they have up to
  // stages * depth factors.
  static constexpr bool keeps_rows = panels == 1;
  static constexpr int dual_shared_bytes = shared_bytes + (keeps_rows ? 4 * 10 * 256 : 0);
  static constexpr int sum_floats = threads * 4 * (panels == 4 ? 41 : 21);  // partial sums of a block
  static constexpr int registers = panels == 4 ? 255 : 168;                 // at most, per thread
  static constexpr int blocks_per_multiprocessor = panels == 4 ? 1 : 3;     // which that number of registers allows
};

constexpr int64_t als_parts_at_most = 256;
constexpr int64_t als_least_part = 2048;

// Ratings per part of a row, a multiple of every stage's depth.
constexpr int64_t als_part_length(int64_t ratings) {
  const int64_t length = (ratings + als_parts_at_most - 1) / als_parts_at_most;
  return length <= als_least_part ? als_least_part : (length + 31) / 32 * 32;
}
constexpr int64_t als_parts(int64_t ratings) {
  const int64_t length = als_part_length(ratings);
  return (ratings + length - 1) / length;
}

// Rows are sorted into bins by the number of ratings: 0; 1; 2; 3 and 4; 5 to 8; ...
constexpr int als_bins = 34;
constexpr int als_bin(int64_t ratings) {
  int bin = 0;
  while (bin < als_bins - 1 && (int64_t{1} << bin) < 2 * ratings) bin++;
  return bin;
}

// Regions of 256 unknowns of a triangle; see gram_region().
constexpr int als_regions(int64_t size) {
  const int64_t columns = (size + 255) / 256;
  return static_cast<int>(columns * columns);
}

// Sizes of scratch memory and numbers of blocks. Memory in floats unless stated otherwise.
struct AlsPlan {
  int64_t rows;        // solved by one pass of launches; more rows need several passes
  int64_t slots;       // parts of long rows in flight
  int64_t slot_size;   // partial sums of one part
  int blocks[3];       // of the shapes with 1, 2 and 4 panels; 0 if no system needs the shape
  int part_blocks;     // which compute parts of long rows
  int64_t block_size;  // scratch memory of a block of the widest shape
};

constexpr int als_shape_of(int64_t size) { return size <= 64 ? 0 : size <= 128 ? 1 : 2; }  // index into AlsPlan::blocks

template <int panels> constexpr int als_blocks(const GpuLimits& limits) {
  using Sizes = AlsShapeSizes<panels>;
  const int fitting = blocks_per_multiprocessor(limits, Sizes::threads, Sizes::shared_bytes, Sizes::registers);
  return limits.multiprocessors * std::min(fitting, Sizes::blocks_per_multiprocessor);
}

constexpr AlsPlan als_plan(int64_t rows, int64_t factors, const GpuLimits& limits) {
  constexpr int64_t most_rows = 1 << 20, most_slots = 512, slot_floats = 1 << 26, block_floats = 1 << 28;
  const int shape = als_shape_of(factors);
  const int64_t sum_floats = shape == 2 ? AlsShapeSizes<4>::sum_floats : AlsShapeSizes<1>::sum_floats;
  const int64_t tiles = (factors + 15) / 16;
  AlsPlan plan = {};
  plan.rows = std::min(rows, most_rows);
  plan.slot_size = sum_floats * als_regions(factors);
  plan.slots = std::clamp<int64_t>(slot_floats / plan.slot_size, 1, most_slots);
  plan.block_size = sum_floats + (shape == 2 ? tiles * (tiles + 1) / 2 * 256 + 3 * tiles * 16 : 0);
  const int64_t most_blocks = std::max<int64_t>(block_floats / plan.block_size, 1);
  const int fitting[] = {als_blocks<1>(limits), als_blocks<2>(limits), als_blocks<4>(limits)};
  for (int i = 0; i <= shape; i++) plan.blocks[i] = static_cast<int>(std::min<int64_t>(plan.rows, fitting[i]));
  plan.blocks[shape] = static_cast<int>(std::min<int64_t>(plan.blocks[shape], most_blocks));
  plan.part_blocks = static_cast<int>(std::min<int64_t>(plan.slots * als_regions(factors), fitting[shape]));
  return plan;
}

}  // namespace sartor::cuda
