// decode_attention_bench THREADS: attention over a paged cache with the heads of GPT-2 124M, for single tokens and for
// chunks of a prompt, with an fp32 and a bf16 cache. Layers take turns at more keys and values than caches hold, if
// contexts are long. Prints one line of JSON per shape: microseconds per layer, gigabytes of keys and values per
// second, and billions of operations per second.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <vector>

#include "core/device_buffer.h"
#include "decoding/decode_attention.h"

namespace {

using namespace sartor::cuda;

constexpr int64_t layers = 12, heads = 12, d = 64;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Shape {
  int32_t sequences, first, rows, prefix = 0;  // prefix: positions that all sequences share
};
constexpr Shape shapes[] = {{1, 63, 1},   {8, 63, 1},  {64, 63, 1},   {1, 1023, 1},     {8, 1023, 1},
                            {1, 8191, 1}, {1, 0, 512}, {1, 768, 256}, {64, 271, 1, 256}};

void time_shape(Context& context, const Shape& of, Store store) {
  const int64_t columns = (of.first + of.rows + cache_block - 1) / cache_block, blocks = columns * of.sequences;
  const int64_t element = store == Store::fp32 ? 4 : 2, block_bytes = heads * d * cache_block * element;
  std::vector<int32_t> table(blocks), offsets, first(of.sequences, of.first);
  for (int64_t i = 0; i < blocks; i++) table[i] = static_cast<int32_t>(i);
  std::shuffle(table.begin(), table.end(), std::mt19937(1));
  for (int64_t s = 1; s < of.sequences; s++) {
    std::copy_n(table.begin(), of.prefix / cache_block, table.begin() + s * columns);
  }
  for (int32_t s = 0; s <= of.sequences; s++) offsets.push_back(s * of.rows);
  const DeviceBuffer<char> memory(context, 2 * layers * blocks * block_bytes);
  std::fill_n(memory.data(), memory.size(), 0);
  const int64_t rows = of.sequences * of.rows;
  std::vector<float> qkv(rows * 3 * heads * d, 0.1f), out(rows * heads * d);
  const CacheRows cache_rows = {of.sequences, offsets.data(), first.data(), table.data(), columns};
  std::vector<double> appended, attended;
  for (int pass = 0; pass < 20; pass++) {
    double appending = 0, attending = 0;
    for (int64_t layer = 0; layer < layers; layer++) {
      char* keys = memory.data() + 2 * layer * blocks * block_bytes;
      const PagedCache cache = {keys, keys + blocks * block_bytes, store, heads, d};
      const double start = now();
      append_to_cache(context, {cache, cache_rows, qkv.data() + heads * d, qkv.data() + 2 * heads * d, 3 * heads * d,
                                3 * heads * d, Store::fp32});
      const double middle = now();
      decode_attention(
          context, {cache, cache_rows, heads, 0.125f, qkv.data(), 3 * heads * d, out.data(), heads * d, Store::fp32});
      appending += middle - start;
      attending += now() - middle;
    }
    appended.push_back(appending / layers);
    attended.push_back(attending / layers);
  }
  const auto median = [](std::vector<double>& values) {
    std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
    return values[values.size() / 2];
  };
  const double time = median(attended), keys = of.first + (1.0 + of.rows) / 2;  // mean number that a row sees
  fmt::print(
      "{{\"cache\": \"{}\", \"sequences\": {}, \"first\": {}, \"rows\": {}, \"prefix\": {}, \"append_us\": {:.1f}, "
      "\"attention_us\": {:.1f}, \"gb_per_s\": {:.1f}, \"gflop_per_s\": {:.1f}}}\n",
      store == Store::fp32 ? "fp32" : "bf16", of.sequences, of.first, of.rows, of.prefix, median(appended) * 1e6,
      time * 1e6, 2.0 * double(of.sequences * (of.first + of.rows)) * double(heads * d * element) / time / 1e9,
      4.0 * double(rows) * keys * double(heads * d) / time / 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: {} THREADS\n", argv[0]);
    return 2;
  }
  auto context = Context::cpu(std::atoi(argv[1]));
  for (const auto store : {Store::fp32, Store::bf16}) {
    for (const auto& shape : shapes) time_shape(context, shape, store);
  }
}
