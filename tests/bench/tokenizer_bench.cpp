// wordpiece_bench, byte_bpe_bench TOKENIZER LINES THREADS ids|offsets REPEATS: tokenizes the lines of the file LINES
// with TOKENIZER, a tokenizer.json or its folder, to ids, types and masks, and offsets if requested. Prints one line of
// JSON. The first call is not timed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/parallel_for.h"
#include "text/tokenizers/tokenizer.h"
#include "text/tokenizers/tokenizer_files.h"

int main(int argc, char** argv) {
  using namespace sartor;
  if (argc != 6) {
    fmt::print(stderr, "usage: {} TOKENIZER LINES THREADS ids|offsets REPEATS\n", argv[0]);
    return 2;
  }
  const int threads = std::atoi(argv[3]), repeats = std::max(std::atoi(argv[5]), 1);
  const text::EncodeOptions options = {.offsets = std::string_view(argv[4]) == "offsets"};

  const text::Tokenizer tokenizer(text::read_tokenizer(argv[1]));
  std::ifstream file(argv[2], std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    lines.push_back(std::string_view(bytes).substr(at, end - at));
    at = end + 1;
  }
  text::RunTasks run;
  if (threads > 1) run = cuda::tasks_on(threads);

  std::vector<double> seconds;
  size_t tokens = 0;
  for (int repeat = 0; repeat <= repeats; repeat++) {
    const auto start = std::chrono::steady_clock::now();
    tokens = tokenizer.encode(lines, {}, options, run).ids.size();
    if (repeat > 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  fmt::print(
      R"({{"lines": {}, "bytes": {}, "tokens": {}, "threads": {}, "seconds": {:.6f}, "least": {:.6f}, "most": {:.6f}}})"
      "\n",
      lines.size(), bytes.size(), tokens, threads, seconds[seconds.size() / 2], seconds.front(), seconds.back());
}
