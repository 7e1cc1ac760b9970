using System.Reflection;

namespace Isthmus.Operate.Install.Operator;

/// <summary>The version of this build, which is also the tag of its image.</summary>
public static class BuildVersion
{
    public static string Current { get; } =
        typeof(BuildVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0.0.0";
}
