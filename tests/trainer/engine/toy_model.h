// A model that trains instantly and in which every bit depends on all previous epochs.
#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

struct ToyModel {
  uint64_t weights = 1, momentum = 7;

  void train_epoch() {
    momentum = momentum * 6364136223846793005u + weights;
    weights ^= momentum >> 17;
  }
  std::vector<Metric> metrics() const { return {{"loss", static_cast<double>(weights % 1000) / 1000}}; }

  // Writes two files, one in a subfolder, so that an incomplete checkpoint can be detected.
  void save(const std::filesystem::path& folder) const {
    std::filesystem::create_directory(folder / "optimizer");
    write(folder / "weights", weights);
    write(folder / "optimizer" / "momentum", momentum);
  }
  void load(const std::filesystem::path& folder) {
    weights = read(folder / "weights");
    momentum = read(folder / "optimizer" / "momentum");
  }

 private:
  static void write(const std::filesystem::path& path, uint64_t value) {
    std::ofstream file(path);
    file << value;
    file.close();
    if (!file) throw std::system_error(errno, std::generic_category(), "cannot write " + path.string());
  }
  static uint64_t read(const std::filesystem::path& path) {
    uint64_t value;
    if (!(std::ifstream(path) >> value)) throw std::runtime_error("half a checkpoint: " + path.string());
    return value;
  }
};

}  // namespace sartor
