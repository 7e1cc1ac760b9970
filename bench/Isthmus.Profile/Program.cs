namespace Isthmus.Profile;

internal static class Program
{
    private static int Main(string[] args)
    {
        if (args.Length < 2)
        {
            Console.Error.WriteLine("Start this with bench/profile.");
            return 2;
        }
        using var profile = new ProfileFile(args[0]);
        foreach (var path in args[1..])
        {
            var trace = RuntimeTrace.Read(path);
            if (trace.Instrumentation.Count == 0)
            {
                Console.Error.WriteLine($"profile: {path} has no instrumentation of methods: did the program end by itself?");
                return 1;
            }
            profile.Add(trace);
        }
        Console.WriteLine($"{args[0]}: {profile.Write()} methods");
        return 0;
    }
}
