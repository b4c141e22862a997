#include <H5public.h>
#include <arrow/util/config.h>
#include <torch/headeronly/version.h>

#include "core/version.h"
#include "runtime/runtime.h"

namespace sartor {

std::map<std::string, std::string> versions() {
  return {{"sartor", version},
          {"libtorch", TORCH_VERSION},
          {"arrow", ARROW_VERSION_STRING},
          {"hdf5", H5_VERS_INFO},
          {"compiler", __VERSION__}};
}

}  // namespace sartor
