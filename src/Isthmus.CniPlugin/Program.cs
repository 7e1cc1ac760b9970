namespace Isthmus.CniPlugin;

internal static class Program
{
    private static int Main() => Plugin.Run(Environment.GetEnvironmentVariable, Console.OpenStandardInput(), Console.OpenStandardOutput(), Console.Error);
}
