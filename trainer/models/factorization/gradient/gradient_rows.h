// Users or items of a factorization that is trained by stochastic gradient descent.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/device_buffer.h"
#include "factorization/sgd/sgd.h"
#include "models/factorization/shares/grid_shares.h"
#include "storage/hdf5_file.h"

namespace sartor {

enum class GradientSide {
  users,
  items,
  implicit  // items as properties of the users who rated them; without biases
};

struct InitialRows {
  int64_t factors = 0;
  bool biased = true;
  float scale = 0;              // standard deviation of the factors
  int64_t seed = 0, first = 0;  // the factors are random numbers `first`, first + 1, ... of the seed
  float weight_power = 0;       // weight of a row with n ratings: n^weight_power
  bool adagrad = false;
};

// Rows as in cuda::SgdSide, on the context's device.
class GradientRows {
 public:
  // offsets: as in cuda::Csr, of the ratings. Rows without ratings are 0 and remain so.
  GradientRows(cuda::Context& context, GradientSide side, std::span<const int64_t> offsets, const InitialRows& initial);

  cuda::SgdSide side() const;
  BlockedRows in(const Blocks& blocks) const;  // all that training changes; the context must be on a CPU

  // Columns of the rows. Throw std::runtime_error if a value is not finite.
  std::vector<float> factors() const;  // (R, f)
  std::vector<float> biases() const;   // (R)

  // SIDE/rows and SIDE/squares of a state file, as write_state and read_state.
  void write(datasets::Hdf5File& file) const;
  void read(const datasets::Hdf5File& file);

 private:
  std::string name() const;

  GradientSide side_;
  int64_t count_, factors_, columns_;
  cuda::DeviceBuffer<float> rows_, weights_, squares_;
};

}  // namespace sartor
