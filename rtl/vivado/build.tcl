# Packages tdpu_top as an IP and builds a block design for an XC7Z020: NOT RUN HERE.
#
# No Vivado was at hand. Commands are those of Vivado 2022.2 and later; expect to mend some. What a
# run gives (utilisation, WNS) replaces the figures of docs/tdpu.md, which come from open tools.
#
#   vivado -mode batch -source rtl/vivado/build.tcl -tclargs [batch] [clock in MHz]
#
# The result is vivado-tdpu/tdpu.bit and tdpu.hwh, for trine.hw.board. Set the DDR part and the MIO of
# your board (its preset) where marked: a wrong DDR configuration does not boot.

set batch [expr {[llength $argv] > 0 ? [lindex $argv 0] : 4}]
set clock [expr {[llength $argv] > 1 ? [lindex $argv 1] : 100}]
set engines 4
set part xc7z020clg400-1
set rtl [file normalize [file join [file dirname [info script]] ..]]
set out [file normalize vivado-tdpu]

# ---- The IP: tdpu_top behind a Verilog wrapper with one plain AXI interface a port ----

create_project -force tdpu_ip $out/ip -part $part
set list [open $rtl/tdpu_top.f]
foreach name [split [string trim [read $list]] "\n"] { add_files -norecurse $rtl/$name }
close $list
add_files -norecurse $rtl/vivado/tdpu_zynq.sv $rtl/vivado/tdpu_zynq_wrapper.v
set_property file_type SystemVerilog [get_files *.sv]
set_property top tdpu_zynq_wrapper [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir $out/ip/package -vendor trine -library ip -taxonomy /UserIP \
    -import_files -set_current true
set_property name tdpu [ipx::current_core]
ipx::infer_bus_interfaces xilinx.com:interface:aximm_rtl:1.0 [ipx::current_core]
ipx::associate_bus_interfaces -clock clk_i \
    -busif s_axil [ipx::current_core]
for {set p 0} {$p < $engines} {incr p} {
    ipx::associate_bus_interfaces -clock clk_i -busif m_axi_$p [ipx::current_core]
}
ipx::update_checksums [ipx::current_core]
ipx::save_core [ipx::current_core]
close_project

# ---- The block design: processing system, the IP on GP0 and HP0-HP3 ----

create_project -force tdpu $out/design -part $part
set_property ip_repo_paths $out/ip/package [current_project]
update_ip_catalog
create_bd_design tdpu
set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7 ps]
# BOARD: apply your board's preset here (DDR part and timing, MIO), for example
# apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 -config {apply_board_preset 1} $ps
set_property -dict [list \
    CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock \
    CONFIG.PCW_USE_M_AXI_GP0 1 \
    CONFIG.PCW_USE_FABRIC_INTERRUPT 1 CONFIG.PCW_IRQ_F2P_INTR 1 \
    CONFIG.PCW_USE_S_AXI_HP0 1 CONFIG.PCW_USE_S_AXI_HP1 1 \
    CONFIG.PCW_USE_S_AXI_HP2 1 CONFIG.PCW_USE_S_AXI_HP3 1 \
    CONFIG.PCW_S_AXI_HP0_DATA_WIDTH 64 CONFIG.PCW_S_AXI_HP1_DATA_WIDTH 64 \
    CONFIG.PCW_S_AXI_HP2_DATA_WIDTH 64 CONFIG.PCW_S_AXI_HP3_DATA_WIDTH 64] $ps
make_bd_intf_pins_external [get_bd_intf_pins ps/DDR] [get_bd_intf_pins ps/FIXED_IO]
set unit [create_bd_cell -type ip -vlnv trine:ip:tdpu tdpu_0]
set_property CONFIG.BATCH $batch $unit

set clk [get_bd_pins ps/FCLK_CLK0]
set reset [create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset]
connect_bd_net $clk [get_bd_pins reset/slowest_sync_clk] [get_bd_pins tdpu_0/clk_i] \
    [get_bd_pins ps/M_AXI_GP0_ACLK]
connect_bd_net [get_bd_pins ps/FCLK_RESET0_N] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins tdpu_0/rst_ni]
connect_bd_net [get_bd_pins tdpu_0/irq_o] [get_bd_pins ps/IRQ_F2P]

# The GP and HP ports are AXI3, the IP's are AXI4 with bursts that AXI3 allows: converters only.
proc through {name clk reset master slave} {
    set cell [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect $name]
    set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1} $cell
    connect_bd_net $clk [get_bd_pins $name/aclk]
    connect_bd_net $reset [get_bd_pins $name/aresetn]
    connect_bd_intf_net $master [get_bd_intf_pins $name/S00_AXI]
    connect_bd_intf_net [get_bd_intf_pins $name/M00_AXI] $slave
}
set aresetn [get_bd_pins reset/peripheral_aresetn]
through control $clk $aresetn [get_bd_intf_pins ps/M_AXI_GP0] [get_bd_intf_pins tdpu_0/s_axil]
for {set p 0} {$p < $engines} {incr p} {
    connect_bd_net $clk [get_bd_pins ps/S_AXI_HP${p}_ACLK]
    through memory_$p $clk $aresetn [get_bd_intf_pins tdpu_0/m_axi_$p] \
        [get_bd_intf_pins ps/S_AXI_HP$p]
}
assign_bd_address
validate_bd_design
save_bd_design

make_wrapper -files [get_files tdpu.bd] -top -import
set_property top tdpu_wrapper [current_fileset]
launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
open_run impl_1
report_utilization -hierarchical -file $out/utilization.txt
report_timing_summary -file $out/timing.txt
file copy -force [glob $out/design/tdpu.runs/impl_1/*.bit] $out/tdpu.bit
file copy -force [glob $out/design/tdpu.gen/sources_1/bd/tdpu/hw_handoff/*.hwh] $out/tdpu.hwh
