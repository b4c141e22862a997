// Times clustering of made-up rows and prints one line of JSON.
//
//   clustering_bench kmeans ROWS COLUMNS CLUSTERS THREADS ITERATIONS    seconds per iteration, and of the seeding
//   clustering_bench METHOD ROWS COLUMNS THREADS                       single, complete, average or ward: seconds
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "base/random.h"
#include "models/clustering/agglomerative.h"
#include "models/clustering/kmeans.h"
#include "models/clustering/seeding.h"

namespace sartor {
namespace {

std::vector<float> normals(int64_t size) {
  std::vector<float> values(size);
  for (int64_t i = 0; i < size; i++) values[i] = static_cast<float>(random_normal(1, i));
  return values;
}

template <class Work> double seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void time_kmeans(cuda::Rows<const float> rows, int64_t clusters, int threads, int64_t iterations) {
  auto context = cuda::Context::cpu(threads);
  KMeans kmeans({.n_clusters = clusters, .init = KMeansInit::random, .max_iter = iterations + 2, .tol = 0}, rows, {},
                context, threads);
  kmeans.step();
  std::vector<double> times;
  for (int64_t i = 0; i < iterations && !kmeans.finished(); i++) times.push_back(seconds([&] { kmeans.step(); }));
  std::ranges::sort(times);
  const double seeding = seconds([&] { choose_spread_rows(context, rows, clusters, 1); });
  fmt::print("{{\"seconds\": {:.6f}, \"iterations\": {}, \"seeding\": {:.6f}}}\n", times[times.size() / 2],
             times.size(), seeding);
}

void time_linkage(cuda::Rows<const float> rows, cuda::Linkage method, int threads) {
  std::vector<cuda::Merge> merges(rows.rows - 1);
  auto context = cuda::Context::cpu(threads);
  const double time = seconds([&] { cuda::linkage(context, {rows, method, merges.data()}); });
  fmt::print("{{\"seconds\": {:.6f}, \"last\": {}}}\n", time, merges.back().distance);
}

}  // namespace
}  // namespace sartor

int main(int argc, char** argv) {
  using namespace sartor;
  const std::vector<std::string> words(argv + 1, argv + argc);
  const int64_t rows = std::stoll(words.at(1)), columns = std::stoll(words.at(2));
  const auto values = normals(rows * columns);
  if (words[0] == "kmeans") {
    time_kmeans({values.data(), rows, columns}, std::stoll(words.at(3)), std::stoi(words.at(4)),
                std::stoll(words.at(5)));
  } else {
    time_linkage({values.data(), rows, columns}, value_of<cuda::Linkage>(words[0]), std::stoi(words.at(3)));
  }
}
