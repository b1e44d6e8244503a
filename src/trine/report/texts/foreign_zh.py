"""The Chinese texts of the report on a foreign CSV: keys as in `texts.foreign_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "foreign.document": "{name}：外部逐层数据解读",
        "foreign.intro": "数据读自 {file}，共 {rows} 行，均非 trine 实测。",
        "foreign.limits": "这份数据无法说明的内容",
        "foreign.no_wall": "总时间未知：仅凭 CSV 无法得知。模块之间执行的内容不在任何一行中，"
        "因此占比以各行之和为基数。",
        "foreign.wall": "总时间取自 {file}；模块之间执行的内容不在任何一行中。",
        "foreign.one_run": "只运行了一次，没有重复测量，因而没有离散程度；"
        "计时区间内是否混入了采样开销也无从判断。",
        "foreign.mixed": "各行在 State 列中的状态不同（既有冷态也有热态），"
        "其总和不对应任何一次前向；请改用生成它的 `profile.json`。",
        "foreign.card.sum": "各行之和",
        "foreign.card.cold": "第 0 层",
        "foreign.card.ratio": "为其余各层中位数的 {ratio} 倍",
        "foreign.card.warm": "其余各层中位数",
        "foreign.card.others": "{n} 层",
        "foreign.card.wall": "总时间",
        "foreign.card.missing": "各行未覆盖的时间",
        "foreign.card.of_wall": "占总时间的 {share}",
        "foreign.unknown": "未知",
        "foreign.cold.title": "1. 首层",
        "foreign.cold.found": "第 0 层处于**冷态**状态：其各模块耗时 {cold} ms，"
        "而其余各层的中位数为 {warm} ms，前者是后者的 {ratio} 倍，多出 {more} ms（判定规则："
        "超过 {factor} 倍）。多出的时间集中在下表靠前的几行；若由首次调用时的编译引起，"
        "则每种新的输入形状只出现一次，之后不再出现。",
        "foreign.cold.none": "第 0 层没有冷态现象：耗时 {cold} ms，其余各层的中位数为 {warm} ms，"
        "比值 {ratio}，相差 {more} ms（判定规则：超过 {factor} 倍）。",
        "foreign.cold.one": "只有一层，没有可以比较的对象。",
        "foreign.operator": "算子",
        "foreign.input": "输入形状",
        "foreign.first": "第 0 层 (ms)",
        "foreign.others": "其余各层中位数 (ms)",
        "foreign.more": "差值 (ms)",
        "foreign.ratio": "比值",
        "foreign.blocks.title": "2. 单层各模块平均耗时",
        "foreign.blocks.note": "{n} 层的平均值，有其他层时不含第 0 层。"
        "占比以单层内有记录的模块之和为基数，而不是总时间。",
        "foreign.operators.title": "3. 算子",
        "foreign.calls": "行数",
        "foreign.call": "单次调用 (ms)",
        "foreign.total": "各行合计 (ms)",
        "foreign.share": "占各行之和",
        "foreign.ops": "单次 OPs",
        "foreign.gops": "GOPS",
        "foreign.sum": "各行之和",
        "foreign.operators.note": "单次调用取不含第 0 层的中位数。占比以全部行之和为基数，"
        "层外算子也计入。OPs 采用文件自身的统计。",
        "foreign.checks.title": "4. 数据是否自洽",
        "foreign.checks.intro": "以下每一条都由数据计算得出。",
        "foreign.check.none": "没有发现矛盾。",
        "foreign.check.no_total": "CSV 旁没有总时间，无法判断各行遗漏了多少。"
        "提供该次运行的 `inference_profile_report.json` 即可得知。",
        "foreign.check.missing": "各行之和为 {sum} ms，而总时间为 {wall} ms："
        "**有 {missing} ms（{share}）不在任何一行中。**",
        "foreign.check.complete": "各行之和为 {sum} ms，总时间为 {wall} ms；"
        "相差 {missing} ms（{share}），属于舍入误差。",
        "foreign.check.overlap": "各行之和为 {sum} ms，超过了总时间 {wall} ms（差 {missing} ms，"
        "{share}）：各行之间有重叠，或总时间来自另一次运行。",
        "foreign.check.left_out": "{name} 在原始数据中耗时 {ms} ms（占各行之和的 {share}，"
        "占其 OPs 的 {ops}），却没有计入汇总文件的任何占比。",
        "foreign.check.left_out_too": "同样没有计入占比的还有：{names}。",
        "foreign.check.rotary": "旋转位置编码（{ms} ms）被归入 embedding 类别；"
        "它实际计算的是余弦和正弦。",
        "foreign.check.rotary_json": "旋转位置编码耗时 {ms} ms，却被归入 embedding 类别，"
        "汇总文件中记为 {stated} ms。",
        "foreign.check.ops": "各投影的 OPs 与打印出的模块树一致，一次乘加计为两个 OPs。",
        "foreign.check.macs": "各投影的 OPs 统计的是乘加次数（MACs），为 trine 统计值的一半。",
        "foreign.check.mixed_ops": "各投影的 OPs 与打印出的模块树之间没有统一的换算规则。",
        "foreign.check.clipped": "内存增量没有一个为负，"
        "但常驻内存在相邻两行之间下降了 {n} 次（合计 {fall}）：负的增量被截断了，"
        "或内存是在模块之间归还的。",
        "foreign.next.title": "5. 建议的测量",
        "foreign.next": "`trine profile` 会对同一模型做重复测量，记录模块之间的间隙，"
        "区分冷态与热态，并实测本机的各项上限。",
        "foreign.plot.sum": "各行之和：{ms} ms",
        "foreign.plot.layers": "不含第 0 层",
        "foreign.caption.layers": "各层有记录的耗时，按模块堆叠，不含第 0 层。",
        "foreign.caption.shares": "按算子汇总的全部行，占比以其总和为基数。",
        "foreign.caption.cold_warm": "各层有记录的耗时，与首层之后各层的中位数对比。",
    }
)
