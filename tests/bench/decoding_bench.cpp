// Operations of a decoding step, on the CPU or on the first GPU:
//
//   decoding_bench THREADS|cuda REPEATS attend SEQUENCES CONTEXT HEADS KV_HEADS D fp32|bf16
//       appends a key and value to each sequence and attends to the CONTEXT positions that it then has
//   decoding_bench THREADS|cuda REPEATS penalize ROWS COLUMNS TOKENS       with a history of TOKENS per row
//   decoding_bench THREADS|cuda REPEATS sample ROWS COLUMNS greedy|top_p
//
// Prints the median seconds of REPEATS calls after a warm-up as one line of JSON, or those of a single call if REPEATS
// is 0. A call ends when the device has finished it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/require.h"
#include "core/device_buffer.h"
#include "decoding/decode_attention.h"
#include "decoding/sampling.h"
#include "median_seconds.h"

namespace {

using namespace sartor;
using namespace sartor::cuda;
using Words = std::vector<std::string>;

// Like a language model's logits: few are large.
std::vector<float> logits_of(int64_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  std::ranges::generate(values, [&] {
    const float x = normal(random);
    return 2.5f * x + 0.15f * x * x * x;
  });
  return values;
}

double attend(Context& context, int repeats, const Words& shape) {
  const auto number = [&](size_t i) { return std::stoll(shape[i]); };
  const int64_t sequences = number(0), length = number(1), heads = number(2), kv_heads = number(3), d = number(4);
  require(shape[5] == "fp32" || shape[5] == "bf16", "the cache is {}, expected fp32 or bf16", shape[5]);
  require(sequences > 0 && length > 0, "found {} sequences of {} positions, expected some", sequences, length);
  const Store store = shape[5] == "fp32" ? Store::fp32 : Store::bf16;
  const int64_t columns = (length + cache_block - 1) / cache_block, blocks = sequences * columns;
  const int64_t bytes = blocks * kv_heads * d * cache_block * (store == Store::fp32 ? 4 : 2);
  std::vector<int32_t> places(blocks), ends(sequences + 1);
  std::iota(places.begin(), places.end(), 0);
  std::shuffle(places.begin(), places.end(), std::mt19937(1));
  std::iota(ends.begin(), ends.end(), 0);
  const DeviceBuffer<int32_t> table(context, places), offsets(context, ends),
      first(context, std::vector<int32_t>(sequences, static_cast<int32_t>(length - 1)));
  DeviceBuffer<char> keys(context, bytes), values(context, bytes);
  keys.fill_zero();
  values.fill_zero();
  const int64_t stride = (heads + 2 * kv_heads) * d;
  const DeviceBuffer<float> qkv(context, logits_of(sequences * stride)), out(context, sequences * heads * d);
  const PagedCache cache = {keys.data(), values.data(), store, kv_heads, d};
  const CacheRows rows = {sequences, offsets.data(), first.data(), table.data(), columns};
  const float *k = qkv.data() + heads * d, *v = k + kv_heads * d;
  return median_seconds(context, repeats, [&] {
    append_to_cache(context, {cache, rows, k, v, stride, stride, Store::fp32});
    decode_attention(context, {cache, rows, heads, 0.125f, qkv.data(), stride, out.data(), heads * d, Store::fp32});
  });
}

double penalties(Context& context, int repeats, const Words& shape) {
  const int64_t rows = std::stoll(shape[0]), columns = std::stoll(shape[1]), tokens = std::stoll(shape[2]);
  const DeviceBuffer<float> logits(context, logits_of(rows * columns)), processed(context, rows * columns);
  std::mt19937 random(1);
  std::vector<int32_t> ids(rows * tokens);
  std::ranges::generate(ids, [&] { return static_cast<int32_t>(random() % columns); });
  const DeviceBuffer<int32_t> history(context, ids),
      lengths(context, std::vector<int32_t>(rows, static_cast<int32_t>(tokens))),
      prompts(context, std::vector<int32_t>(rows, static_cast<int32_t>(tokens / 2)));
  return median_seconds(context, repeats, [&] {
    penalize(context, {.logits = {logits.data(), rows, columns},
                       .history = {history.data(), tokens, lengths.data(), prompts.data()},
                       .params = {.repetition = 1.1f, .frequency = 0.1f, .no_repeat_ngram = 3},
                       .processed = {processed.data(), rows, columns}});
  });
}

double samples(Context& context, int repeats, const Words& shape) {
  const int64_t rows = std::stoll(shape[0]), columns = std::stoll(shape[1]);
  require(shape[2] == "greedy" || shape[2] == "top_p", "the way is {}, expected greedy or top_p", shape[2]);
  SamplingParams params;
  if (shape[2] == "top_p") params = {.greedy = false, .temperature = 0.8f, .top_p = 0.9f};
  const DeviceBuffer<float> logits(context, logits_of(rows * columns)), log_probabilities(context, rows);
  std::vector<Draw> named(rows);
  for (int64_t row = 0; row < rows; row++) named[row].row = row;
  const DeviceBuffer<Draw> draws(context, named);
  const DeviceBuffer<int32_t> ids(context, rows);
  const Rows<const float> input = {logits.data(), rows, columns};
  return median_seconds(context, repeats, [&] {
    sample(context, {.logits = input,
                     .model_logits = input,
                     .draws = draws.data(),
                     .params = params,
                     .ids = ids.data(),
                     .log_probabilities = log_probabilities.data()});
  });
}

struct Operation {
  const char* name;
  size_t words;
  double (*seconds)(Context&, int repeats, const Words& shape);
};
constexpr Operation operations[] = {{"attend", 6, attend}, {"penalize", 3, penalties}, {"sample", 3, samples}};

}  // namespace

int main(int argc, char** argv) try {
  const Words words(argv + 1, argv + argc);
  for (const auto& [name, count, seconds] : operations) {
    if (words.size() != 3 + count || words[2] != name) continue;
    auto context = words[0] == "cuda" ? Context::gpu() : Context::cpu(std::atoi(argv[1]));
    const double median = seconds(context, std::atoi(argv[2]), Words(words.begin() + 3, words.end()));
    fmt::print("{{\"operation\": \"{}\", \"seconds\": {:.9f}}}\n", name, median);
    return 0;
  }
  fmt::print(stderr, "usage: {} THREADS|cuda REPEATS attend|penalize|sample SHAPE...\n", argv[0]);
  return 2;
} catch (const std::exception& error) {
  fmt::print(stderr, "decoding_bench: {}\n", error.what());
  return 1;
}
