namespace Isthmus.Lab.Machine.Linux;

/// <summary>.NET runtime settings for the lab's programs and Pods: dozens of these processes share a small machine.</summary>
public static class RuntimeSettings
{
    public static readonly IReadOnlyList<(string Key, string Value)> Environment =
    [
        ("DOTNET_TieredPGO", "0"),
        // Hexadecimal: 60 s. Compiling hot methods again takes a fifth of the CPU time of a mesh that starts; one that stays up gets it later.
        ("DOTNET_TC_CallCountingDelayMs", "EA60"),
        // Idle threads sleep at once: spinning takes CPU time from the other processes that start.
        ("DOTNET_ThreadPool_UnfairSemaphoreSpinLimit", "0"),
        // Mapping each code page twice (W^X) takes a tenth of the start time, and a lab starts many processes.
        ("DOTNET_EnableWriteXorExecute", "0"),
        ("DOTNET_gcServer", "0"),
        ("DOTNET_gcConcurrent", "0"),
        ("DOTNET_NOLOGO", "1"),
        // The diagnostics pipe would be in /tmp, which may be read-only.
        ("DOTNET_EnableDiagnostics", "0"),
    ];
}
