#include "similarity/screening/screen.h"

#include <algorithm>

namespace sartor::cuda {
namespace {

const ScreenKernels& screening() { return v4_vnni::screen_kernels; }

int64_t steps(int64_t d) { return (d + 3) / 4; }

void prefetch(const float* row, int64_t d) {
  for (int64_t c = 0; c < d; c += 16) __builtin_prefetch(row + c);
}

}  // namespace

int64_t Screen::exact_items(int64_t k) { return std::max<int64_t>(64 * k, 512); }

bool Screen::pays(Isa isa, int64_t queries, int64_t items, int64_t d, int64_t k) {
  return isa >= Isa::v4_vnni && queries >= 64 && 32 <= d && d <= ScreenKernels::most_columns &&
         items >= 2 * exact_items(k);
}

Screen::Screen(Carver& carver, const TopkKernels& kernels, int64_t queries, int64_t d)
    : kernels_(&kernels),
      d_(d),
      values_(carver.take<uint8_t>(queries * steps(d) * 4)),
      norms_(carver.take<float>(queries)),
      inverses_(carver.take<float>(queries)),
      items_{.values = carver.take<int8_t>(kernels.panel_items * steps(d) * 4),
             .offsets = carver.take<int32_t>(kernels.panel_items),
             .scales = carver.take<float>(kernels.panel_items),
             .slacks = carver.take<float>(kernels.panel_items),
             .biases = carver.take<float>(kernels.panel_items)},
      query_(carver.take<float>(d)),
      rows_(carver.take<float>(kernels.block_items * d)),
      biases_(carver.take<float>(kernels.block_items)) {}

void Screen::start(const float* tiles, int64_t queries) {
  tiles_ = tiles;
  queries_ = queries;
  relative_ = 0;
  panels_ = settled_ = 0;
  usable_ = true;
  for (int64_t q = 0; q < queries && usable_; q += kernels_->tile_queries) {
    const int64_t rows = std::min<int64_t>(kernels_->tile_queries, queries - q);
    usable_ = screening().pack_queries(tiles + q * d_, rows, d_, values_ + q * steps(d_) * 4, norms_ + q, inverses_ + q,
                                       relative_);
  }
}

bool Screen::pack_items(const float* panel) {
  // Bounds that keep more than a candidate per query and panel, a few hundred at the start aside, do not pay.
  usable_ = usable_ && settled_ <= queries_ * (panels_ + 512);
  panels_++;
  return usable_ && screening().pack_items(panel, d_, relative_, items_);
}

bool Screen::score(int64_t q, int64_t rows, int32_t first_item, const TopkCandidates& found) const {
  return screening().score({values_ + q * steps(d_) * 4, norms_ + q, inverses_ + q}, rows, items_, d_, first_item,
                           found);
}

TopkKey* Screen::settle(int64_t q, const TopkItemRange& items, float threshold, TopkKey* begin, TopkKey* end) {
  constexpr int most = 32;
  settled_ += end - begin;
  const int64_t in_tile = q % kernels_->tile_queries, first = q - in_tile;
  const int64_t tile_rows = std::min<int64_t>(kernels_->tile_queries, queries_ - first);
  for (int64_t c = 0; c < d_; c++) query_[c] = tiles_[first * d_ + c * tile_rows + in_tile];
  TopkKey* kept = begin;
  for (TopkKey* at = begin; at < end; at += kernels_->block_items) {
    const auto count = std::min<int64_t>(kernels_->block_items, end - at);
    int32_t ids[most], above = 0;
    TopkKey keys[most];
    for (int64_t i = 0; i < count; i++) {
      ids[i] = topk_id(at[i]);
      if (at + i + kernels_->block_items < end) prefetch(items.rows + topk_id(at[i + kernels_->block_items]) * d_, d_);
      std::copy_n(items.rows + ids[i] * d_, d_, rows_ + i * d_);
      biases_[i] = items.bias ? items.bias[ids[i]] : 0;
    }
    const TopkItemRange block = {rows_, count, d_, biases_, items.cosine, 0, nullptr, nullptr};
    kernels_->scan(query_, block, {&threshold, keys, most, &above});
    for (int32_t i = 0; i < above; i++) *kept++ = topk_key(topk_score(keys[i]), ids[topk_id(keys[i])]);
  }
  return kept;
}

}  // namespace sartor::cuda
