tdpu_pkg.sv
tdpu_check.sv
tdpu_decode2.sv
tdpu_decode3.sv
tdpu_tree.sv
tdpu_engine.sv
tdpu_array.sv
tdpu_gemv.sv
