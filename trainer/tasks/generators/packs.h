// Packing of texts into rows of nearly equal length.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sartor {

// Texts of each pack. Best fit decreasing, as TRL's packing strategy "bfd": from the longest text to the shortest, ties
// by index, each text goes to the pack with the least remaining space that is large enough, ties by the time since the
// pack has had that space; to a new pack if there is none. Texts must have 1 to pack_length tokens. Takes O(n log n).
std::vector<std::vector<int64_t>> best_fit_packs(std::span<const int32_t> lengths, int64_t pack_length);

}  // namespace sartor
