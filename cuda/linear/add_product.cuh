// GPU version of add_product, called after its checks.
#pragma once

#include "linear/add_product.h"

namespace sartor::cuda {

void add_product_gpu(Context& context, const AddProductTask& task);

}  // namespace sartor::cuda
