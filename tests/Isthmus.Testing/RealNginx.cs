namespace Isthmus.Testing;

/// <summary>The program of nginx for tests beside a real one: what the variable NGINX names, what <c>./test</c> has unpacked, or the one in the PATH.</summary>
public static class RealNginx
{
    /// <summary>Why a test is left out.</summary>
    public const string Missing = "no nginx: set NGINX to a program of nginx, or put one into the PATH";

    /// <summary>Null: there is none.</summary>
    public static string? Find() => ForeignProgram.Find("NGINX", "nginx", "artifacts/nginx/usr/sbin/nginx");
}
